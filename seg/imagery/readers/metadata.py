"""Metadata files of products: XML without entities, and the texts of its elements."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as Xml
from xml.parsers import expat

from seg.errors import RasterError
from seg.files import LONGEST


def parse_xml(content: bytes, source: str) -> Xml.Element:
    """Root element of an XML document. A document type definition is refused, so entities are never expanded.

    Args:
        content: Bytes of the document.
        source: Name of the file for messages.

    Raises:
        RasterError: The document is not well-formed or has a document type definition.
    """
    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = _refuse_doctype
    try:
        checker.Parse(content, True)
        return Xml.fromstring(content)
    except (expat.ExpatError, Xml.ParseError, ValueError, LookupError, RecursionError) as error:
        reason = " ".join(str(error).split())[:LONGEST]
        raise RasterError(f"{source}: not readable as XML metadata ({reason}); download the product again") from error


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a document type definition, wanted none")


def elements(root: Xml.Element, *names: str) -> Iterator[Xml.Element]:
    """All elements with one of the names, whatever their namespace, in the order of the document."""
    return (element for element in root.iter() if local_name(element) in names)


def local_name(element: Xml.Element) -> str:
    """Tag of an element without its namespace; empty for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def first_text(root: Xml.Element, *names: str) -> str | None:
    """Text of the first element with one of the names; None if there is no such element or no text."""
    texts = (str(element.text or "").strip() for element in elements(root, *names))
    return next((text for text in texts if text), None)


def moment(text: str | None) -> datetime | None:
    """Time in UTC of an ISO 8601 text; None if the text is missing or of another form."""
    try:
        read = datetime.fromisoformat(str(text or "").strip())
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def number(text: str | None, what: str, path: Path) -> float:
    """A number of the metadata.

    Args:
        text: The text; None if the metadata lacks the number.
        what: Name of the value for messages.
        path: The product for messages.

    Raises:
        RasterError: The text is missing or is not a finite number.
    """
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise RasterError(
            f"{path}: {what} of its metadata is {text or 'missing'}, wanted a number; download the product again, or "
            "take the values as stored with --units=stored"
        )
    return value
