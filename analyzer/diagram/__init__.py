"""Pictures of paths: laid out here, written as SVG and what can be made of it."""
