"""Home of the compiled modules; their sources are in ``cext/``.

Each ``cext/<name>.pyx`` becomes ``analyzer._cext.<name>``, typed by ``<name>.pyi``.
A ``<name>.pxd`` here declares a class that other compiled modules use.
"""
