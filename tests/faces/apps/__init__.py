"""The handwritten applications, grouped by subject. Importing this package fills the table of cases."""

import importlib
import pkgutil

for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
