"use strict";
(() => {
  const picture = document.getElementById("picture");
  const view = document.getElementById("view");
  const details = document.getElementById("details");
  const whole = picture.getAttribute("viewBox").split(" ").map(Number);
  // At first as wide as the window, so that it can be read; the rest is further down.
  const { clientWidth, clientHeight } = view;
  const tall = Math.min(whole[3], (whole[2] * clientHeight) / clientWidth);
  picture.setAttribute("preserveAspectRatio", "xMidYMin meet");
  let box = [whole[0], whole[1], whole[2], tall];

  // Details of what one points at; the browser's own tooltips would say the same twice.
  for (const title of picture.querySelectorAll("g > title")) {
    const group = title.parentNode;
    group.dataset.told = title.textContent;
    group.setAttribute("tabindex", "0");
    group.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  let chosen = null;
  const show = (group) => {
    if (chosen) chosen.classList.remove("chosen");
    chosen = group;
    details.hidden = !group;
    if (!group) return;
    group.classList.add("chosen");
    details.textContent = group.dataset.told;
  };
  picture.addEventListener("pointerover", (event) => show(event.target.closest("g[data-told]")));
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("focusin", (event) => show(event.target.closest("g[data-told]")));

  // One service, or all.
  const buttons = [...document.querySelectorAll("button.service")];
  const edges = [...picture.querySelectorAll("g.edge")];
  const isOf = (edge, service) => edge.dataset.services.split(" ").includes(service);
  const filter = (service) => {
    for (const each of buttons) {
      each.setAttribute("aria-pressed", String(each.dataset.service === service));
    }
    const kept = new Set();
    // What counts other Services, too, is no number of this one.
    const mixed = new Set();
    for (const edge of edges) {
      const isShown = !service || isOf(edge, service);
      const { source, target, services } = edge.dataset;
      edge.classList.toggle("dim", !isShown);
      if (isShown) kept.add(source).add(target);
      if (services !== service) mixed.add(`${source} ${target}`).add(source);
      for (const part of edge.querySelectorAll("[data-service]")) {
        part.classList.toggle("dim", Boolean(service) && part.dataset.service !== service);
      }
    }
    for (const group of picture.querySelectorAll("g.node")) {
      group.classList.toggle("dim", Boolean(service) && !kept.has(group.dataset.id));
    }
    for (const label of picture.querySelectorAll("g.label, g.rewrite")) {
      const { source, target, id, step } = label.dataset;
      const key = id || `${source} ${target}`;
      label.classList.toggle("dim", Boolean(service) && (step === "local" || mixed.has(key)));
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const isOn = button.getAttribute("aria-pressed") === "true";
      filter(isOn ? null : button.dataset.service);
    });
  }

  // Pan and zoom.
  const look = () => picture.setAttribute("viewBox", box.join(" "));
  const point = (event) => {
    const matrix = picture.getScreenCTM().inverse();
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
  };
  const zoom = (factor, x, y) => {
    const width = Math.min(Math.max(box[2] * factor, whole[2] / 20), whole[2] * 4);
    const scale = width / box[2];
    box = [x - (x - box[0]) * scale, y - (y - box[1]) * scale, width, box[3] * scale];
    look();
  };
  const middle = (factor) => zoom(factor, box[0] + box[2] / 2, box[1] + box[3] / 2);
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const place = point(event);
    zoom(Math.exp(event.deltaY / 500), place.x, place.y);
  }, { passive: false });
  let held = null;
  view.addEventListener("pointerdown", (event) => {
    held = point(event);
    view.setPointerCapture(event.pointerId);
    view.classList.add("held");
  });
  view.addEventListener("pointermove", (event) => {
    if (!held) return;
    const place = point(event);
    box = [box[0] + held.x - place.x, box[1] + held.y - place.y, box[2], box[3]];
    look();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, () => { held = null; view.classList.remove("held"); });
  }
  look();
  const reset = () => { box = [...whole]; look(); };
  document.getElementById("in").addEventListener("click", () => middle(0.8));
  document.getElementById("out").addEventListener("click", () => middle(1.25));
  document.getElementById("whole").addEventListener("click", reset);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+") middle(0.8);
    else if (event.key === "-") middle(1.25);
    else if (event.key === "0") reset();
    else if (event.key === "Escape") { filter(null); show(null); }
  });

  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });
})();
