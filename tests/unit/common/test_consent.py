"""Which consent records allow processing."""

import pytest

from services.common.consent import Consent, refusal


def record(
    state: "Consent.State.ValueType" = Consent.STATE_ACTIVE,
    purpose: "Consent.Purpose.ValueType" = Consent.PURPOSE_RESEARCH,
    ground: "Consent.Ground.ValueType" = Consent.GROUND_UNSPECIFIED,
) -> Consent:
    return Consent(session="s", state=state, purpose=purpose, ground=ground)


@pytest.mark.parametrize("purpose", [Consent.PURPOSE_RESEARCH, Consent.PURPOSE_HEALTHCARE, Consent.PURPOSE_PERSONAL])
def test_an_active_record_with_a_purpose_allows(purpose: "Consent.Purpose.ValueType") -> None:
    assert refusal("s", record(purpose=purpose)) is None


def test_without_a_record_the_refusal_says_how_to_make_one() -> None:
    assert "microex consent grant s --purpose" in str(refusal("s", None))


@pytest.mark.parametrize("purpose", [Consent.PURPOSE_EMPLOYMENT, Consent.PURPOSE_EDUCATION])
def test_work_and_school_need_a_medical_or_safety_ground(purpose: "Consent.Purpose.ValueType") -> None:
    assert "5(1)(f)" in str(refusal("s", record(purpose=purpose)))
    for ground in (Consent.GROUND_MEDICAL, Consent.GROUND_SAFETY):
        assert refusal("s", record(purpose=purpose, ground=ground)) is None


def test_withdrawn_unset_and_purposeless_records_refuse() -> None:
    assert "withdrawn" in str(refusal("s", record(state=Consent.STATE_WITHDRAWN)))
    assert refusal("s", record(state=Consent.STATE_UNSPECIFIED)) is not None
    assert "purpose" in str(refusal("s", record(purpose=Consent.PURPOSE_UNSPECIFIED)))
