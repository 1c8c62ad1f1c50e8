"""Adapters out to other programs' files and in from them; every export is read back and compared."""

from adapters.formats import FORMATS
from pipelines.exchange.reading import import_file
from pipelines.exchange.report import ExportReport, FileReport
from pipelines.exchange.writing import export

__all__ = ["FORMATS", "ExportReport", "FileReport", "export", "import_file"]
