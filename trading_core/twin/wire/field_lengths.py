"""How long a request field may be; a longer one is an error of its own."""

from __future__ import annotations

from collections.abc import Mapping

from trading_core.twin.wire.envelope import input_error

LONGEST_VALUE = 200
# Declared lengths of the fields that all clients fill alike.
_DECLARED: Mapping[str, int] = {
    "CANO": 8,
    "ACNT_PRDT_CD": 2,
    "PDNO": 12,
    "ORD_DVSN": 2,
    "ORD_QTY": 10,
    "ORD_UNPR": 19,
    "CNDT_PRIC": 19,
    "EXCG_ID_DVSN_CD": 3,
    "ORGN_ODNO": 10,
    "RVSE_CNCL_DVSN_CD": 2,
    "QTY_ALL_ORD_YN": 1,
    "OVRS_EXCG_CD": 4,
    "OVRS_ORD_UNPR": 32,
    "FID_COND_MRKT_DIV_CODE": 2,
    "FID_INPUT_ISCD": 12,
    "FID_INPUT_DATE_1": 10,
    "FID_INPUT_DATE_2": 10,
    "FID_INPUT_HOUR_1": 10,
    "EXCD": 4,
    "SYMB": 16,
}


def require_lengths(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The fields themselves. Raises :class:`WireError` (OPSQ2002) for one that is too long."""
    for key, value in fields.items():
        if len(value) > _DECLARED.get(key, LONGEST_VALUE):
            raise input_error(f"ERROR INPUT FIELD LENGTH [{key[:40]}]", "OPSQ2002")
    return fields
