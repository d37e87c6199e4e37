"""Ids: the same thing has the same name, two things never share one."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microex.v1 import stream_pb2
from services.common import ids
from services.common.errors import Fatal, Poison

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=128)
TRACKS = st.builds(ids.track_id, *[st.integers(0, 2**53)] * 3)
STREAMS = st.builds(stream_pb2.StreamKey, session=NAMES, camera=NAMES, track=TRACKS)
WINDOWS = st.tuples(STREAMS, st.integers(0, 2**63), st.integers(0, 2**63), st.text(max_size=20))
DETECTOR = "spotter-1"


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_framing_never_confuses_two_lists_of_parts(some: list[str], others: list[str]) -> None:
    assert (ids._digest(*some) == ids._digest(*others)) == (some == others)


@pytest.mark.parametrize("others", [("a", "bc"), ("abc",), ("ab", "c", ""), ("", "ab", "c"), ("c", "ab")])
def test_framing_keeps_borders_between_parts(others: tuple[str, ...]) -> None:
    assert ids._digest("ab", "c") != ids._digest(*others)


@given(WINDOWS, WINDOWS)
def test_windows_share_an_id_only_when_all_agrees(
    some: tuple[stream_pb2.StreamKey, int, int, str], others: tuple[stream_pb2.StreamKey, int, int, str]
) -> None:
    assert (ids.window_id(*some) == ids.window_id(*others)) == (some == others)


def test_ids_never_change_between_versions() -> None:
    stream = stream_pb2.StreamKey(session="s", camera="c", track="0.0.0")
    window = ids.window_id(stream, 10, 20, DETECTOR)
    assert window == "bef3eba4923ae090b7e9a2a39d6a5b37"
    assert ids.prediction_id(window, "digest") == "6815bd6513b70fa43073c4e068e74446"


@given(STREAMS, STREAMS)
def test_a_stream_key_names_one_stream(some: stream_pb2.StreamKey, other: stream_pb2.StreamKey) -> None:
    assert (ids.stream_key(some) == ids.stream_key(other)) == (some == other)
    assert ids.stream_key(some).split("/") == [some.session, some.camera, some.track]


@pytest.mark.parametrize(
    "wrong",
    [{"session": ""}, {"session": "a/b"}, {"camera": "a\n"}, {"camera": "x" * 129}, {"track": "0.0"}, {"track": ""}],
)
def test_a_malformed_stream_key_is_poison(wrong: dict[str, str]) -> None:
    stream = stream_pb2.StreamKey(**({"session": "s", "camera": "c", "track": "0.0.0"} | wrong))
    with pytest.raises(Poison, match="malformed stream key"):
        ids.stream_key(stream)


@given(st.text(max_size=140))
def test_a_name_is_accepted_exactly_when_it_can_stand_in_a_key(name: str) -> None:
    fits = 1 <= len(name) <= 128 and not any(c == "/" or ord(c) < 32 or ord(c) == 127 for c in name)
    if fits:
        assert ids.check_name("session", name) == name
    else:
        with pytest.raises(Fatal, match="a session needs"):
            ids.check_name("session", name)


@given(NAMES, NAMES)
def test_no_session_s_cache_prefix_begins_another_s(some: str, other: str) -> None:
    assume(some != other)
    assert not ids.cache_prefix(some).startswith(ids.cache_prefix(other))
