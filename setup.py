"""Build each ``cext/<name>.pyx`` as the compiled module ``analyzer._cext.<name>``.

Everything else about the package is in ``pyproject.toml``.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# A checked build: bounds checks and line tracing, for coverage and debugging.
CHECKED = os.environ.get("ANALYZER_LINETRACE") == "1"

# Relative to this file's folder, where the build backend always runs.
CEXT = Path("cext")

extensions = [
    Extension(
        name=f"analyzer._cext.{source.stem}",
        sources=[source.as_posix()],
        include_dirs=[CEXT.as_posix()],
        depends=[header.as_posix() for header in sorted(CEXT.rglob("*.h"))],
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if CHECKED else [],
        extra_compile_args=["-O3"],
    )
    for source in sorted(CEXT.glob("*.pyx"))
]

setup(
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        extensions,
        include_path=["."],  # `cext.wire.vxlan` is `cext/wire/vxlan.pxd`
        build_dir=None if CHECKED else "build/cython",  # coverage wants the C beside
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": CHECKED,
            "linetrace": CHECKED,
        },
    ),
)
