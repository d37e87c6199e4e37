"""A commit never passes an offset that somebody still needs."""

from hypothesis import given
from hypothesis import strategies as st

from services.common.ledger import Ledger


@given(st.integers(1, 40), st.data())
def test_position_is_the_first_offset_that_is_held(count: int, data: st.DataObject) -> None:
    ledger, released = Ledger(), set()
    for offset in range(count):
        ledger.take(3, offset)
    for offset in data.draw(st.permutations(range(count))):
        ledger.release(3, offset)
        released.add(offset)
        held = [o for o in range(count) if o not in released]
        assert ledger.positions() == {3: min(held, default=count)}
        assert ledger.held() == len(held)


def test_a_record_read_again_is_held_again() -> None:
    ledger = Ledger()
    for offset in (5, 6, 7):
        ledger.take(0, offset)
        ledger.release(0, offset)
    ledger.take(0, 6)
    assert ledger.positions() == {0: 6}
    assert ledger.taken() == {0: 8}
