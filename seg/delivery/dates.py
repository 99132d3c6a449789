"""Dates of imagery on the command line."""

from datetime import UTC, datetime

from seg.errors import ConfigError, require_option


def observed_between(text: str, option: str) -> tuple[datetime, datetime]:
    """First and last moment of a date, a time or an interval, in UTC.

    Args:
        text: A date such as 2025-06-12, a time such as 2025-06-12T03:05:11Z, or two of them with a slash between. A
            date stands for the whole day; a time without a zone is in UTC.
        option: Name of the option, for errors.

    Raises:
        ConfigError: The text is not a date, or the interval ends before it starts.
    """
    parts = [part.strip() for part in text.split("/")]
    wanted = "a date such as 2025-06-12, or an interval such as 2025-05-01/2025-06-30"
    try:
        first, last = _moment(parts[0], False), _moment(parts[-1], True)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--{option} is '{text}'; wanted {wanted}") from error
    require_option(len(parts) <= 2 and first <= last, option, text, wanted)
    return first, last


def _moment(text: str, at_end: bool) -> datetime:
    moment = datetime.fromisoformat(text)
    if "T" not in text and at_end:
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_text(moment: datetime) -> str:
    """RFC 3339 text of a moment in UTC, as STAC and fiboa require."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
