"""Currencies: their decimal places, and the codes, symbols and names by which files call them."""

from __future__ import annotations

import re
from typing import Final

UNKNOWN: Final = "XXX"
"""ISO 4217's code for "no currency": used, with a question, where neither the file nor the account names one."""

_EXPONENTS: Final = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""ISO 4217 minor units that are not 2."""

_NAMES: Final = {
    "€": "EUR", "EURO": "EUR", "EUROS": "EUR", "EUROA": "EUR", "£": "GBP", "US$": "USD", "USD$": "USD",
    "CA$": "CAD", "C$": "CAD",
    "CDN": "CAD", "CDN$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "R$": "BRL",
    "NT$": "TWD", "MX$": "MXN", "₹": "INR", "RS": "INR", "₽": "RUB", "РУБ": "RUB", "₴": "UAH", "ГРН": "UAH",
    "₺": "TRY", "TL": "TRY", "₪": "ILS", "₩": "KRW", "₫": "VND", "฿": "THB", "₦": "NGN", "₱": "PHP", "₸": "KZT",
    "RUR": "RUB", "RP": "IDR", "RM": "MYR", "BAHT": "THB", "บาท": "THB", "원": "KRW", "台幣": "TWD",
    "新台幣": "TWD", "NTD": "TWD",
    "₡": "CRC", "₲": "PYG", "ZŁ": "PLN", "ZL": "PLN", "KČ": "CZK", "KC": "CZK", "FT": "HUF", "LEI": "RON",
    "ЛВ": "BGN", "FR": "CHF", "SFR": "CHF", "人民币": "CNY", "人民币元": "CNY", "RMB": "CNY", "CNH": "CNY",
    "元": "CNY", "円": "JPY", "日元": "JPY", "美元": "USD", "港币": "HKD", "港元": "HKD", "欧元": "EUR",
    "英镑": "GBP", "US DOLLAR": "USD",
    "POUND STERLING": "GBP",
}  # fmt: skip
_SHARED_SYMBOLS: Final = {
    "$": (
        "USD",
        "CAD",
        "AUD",
        "NZD",
        "HKD",
        "SGD",
        "MXN",
        "ARS",
        "CLP",
        "COP",
        "TWD",
        "BBD",
        "JMD",
        "BSD",
        "BMD",
        "FJD",
    ),
    "¥": ("JPY", "CNY"),
    "KR": ("SEK", "NOK", "DKK", "ISK"),
    "KR.": ("DKK", "SEK", "NOK", "ISK"),
    "R": ("ZAR",),
}
"""Symbols of several currencies, the commonest first."""

_NAMING: Final = re.compile(
    r"\b[Ee][Uu][Rr][Oo](?:[SsAa]|\b)|[A-Z]{3}(?![A-Za-z])|(?<![A-Za-z])[A-Z]{1,2}\$|[€£₹₽₴₺¥円]|(?<=\()[^()\s]{1,5}(?=\))|人民币"
)
_CODE: Final = re.compile(r"[A-Z]{3}")
_KNOWN_CODES: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
    GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP
    LKR LRD LSL LTL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR
    PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL
    THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XAU XCD XOF XPF YER ZAR ZMW
    ZWL BTC ETH
    """.split()  # noqa: SIM905 - a list of 160 codes is read as a paragraph
)


def exponent(currency: str | None) -> int:
    """Decimal places of a currency: 2 unless ISO 4217 says otherwise."""
    return _EXPONENTS.get(currency or "", 2)


def currency_code(text: str, expected: str | None = None) -> str | None:
    """The three-letter code a file means by a code, symbol or name; None if it names no currency.

    A symbol that several currencies share means ``expected`` (the account's currency) when that is one of them.
    """
    word = text.strip().upper()
    if word in _KNOWN_CODES:
        return word
    if word in _SHARED_SYMBOLS:
        shared = _SHARED_SYMBOLS[word]
        return expected if expected in shared else shared[0]
    return _NAMES.get(word)


def stated_code(text: str, expected: str | None = None) -> str | None:
    """The code a currency *column* means: any three letters are taken as a code there, known or not."""
    word = text.strip().upper()
    return currency_code(word, expected) or (word if _CODE.fullmatch(word) else None)


def named_in(text: str, expected: str | None = None) -> str | None:
    """The currency a header or note names: ``Betrag (EUR)``, ``Amount CZK``, ``金额(元)``, ``Betrag in EUR:``."""
    for word in _NAMING.findall(text):
        code = currency_code(word, expected)
        if code:
            return code
    return None
