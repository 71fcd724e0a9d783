"""A pause that a server asks for is heeded however it is written, and never for long."""

import datetime
import email.utils

import pytest

from transforms.core.retries import LONGEST_PAUSE, seconds_until


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        *(("7", 7.0), (" 0.25 ", 0.25), ("0", 0.0), ("-5", 0.0), ("9" * 5000, LONGEST_PAUSE), ("31", LONGEST_PAUSE)),
        *(("", 0.0), ("soon", 0.0), ("nan", 0.0), ("inf", LONGEST_PAUSE), ("Wed, 99 Oct 2015 07:28:00 GMT", 0.0)),
        *(("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE)),
        *(("Wed, 21 Oct 2015 07:28:00", 0.0), ("Fri, 31 Dec 9999 23:59:59 -0900", LONGEST_PAUSE)),
    ],
)
def test_a_pause_is_read_and_bounded(said: str, seconds: float) -> None:
    assert seconds_until(said) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_date_is_a_pause_until_then(zone: str) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
    said = email.utils.format_datetime(then).replace("+0000", zone)
    assert 15 < seconds_until(said) <= 20
