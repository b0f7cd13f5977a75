"""Kinds of tables found in the test data of other projects that once were read wrongly; rows made up, shapes kept."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.csv_encoding import encoding_of


def reading_of(text):
    return read(text.encode(), "file.csv")


def amounts(reading):
    return [line["units"] / 10 ** line["scale"] for line in reading.lines.to_pylist()]


def moves(text):
    reading = reading_of(text)
    lines = reading.lines.to_pylist()
    assert not reading.errors
    return [(line["units"], line["currency"]) for line in lines], {question.about for question in reading.questions}


def test_the_currency_of_a_purchase_abroad_is_not_that_of_the_account():
    """Neon (Switzerland), SEB Kort (Sweden): the one column of currencies is of the amount beside it."""
    neon = (
        "Date;Amount;Original amount;Original currency;Description\n"
        "2023-12-30;-5.00;;;App\n2023-03-03;2000.00;;;Salary\n2023-02-26;-538.28;-579.33;USD;Abroad\n"
    )
    assert moves(neon) == ([(-500, "XXX"), (200000, "XXX"), (-53828, "XXX")], {"currency"})
    seb = (
        "Datum;Specifikation;Ort;Valuta;Utl.belopp/moms;Belopp\n"
        "2026-03-10;OKQ8;STOCKHOLM;SEK;;-650,00\n2026-03-12;AMAZON;LONDON;GBP;12,34;-150,00\n"
    )
    assert moves(seb) == ([(-65000, "XXX"), (-15000, "XXX")], {"currency"})


def test_of_two_amounts_the_one_of_the_account_is_read_whatever_the_language():
    """T-Bank and VTB (Russia): what was paid abroad stands before what the account was charged."""
    tbank = (
        "Дата операции;Сумма операции;Валюта операции;Сумма платежа;Валюта платежа;Описание\n"
        "22.03.2026;-1500.00;RUB;-1500.00;RUB;A\n22.03.2026;-10.00;EUR;-950.50;RUB;B\n"
    )
    vtb = (
        "Дата операции;Сумма операции;Валюта операции;Сумма пересчитанная в валюту счета;Валюта счета;Основание\n"
        "2019-07-06;-300,00;RUR;-300,00;RUR;A\n2019-07-06;-4,50;EUR;-336,15;RUR;B\n"
    )
    assert moves(tbank)[0] == [(-150000, "RUB"), (-95050, "RUB")]
    assert moves(vtb)[0] == [(-30000, "RUB"), (-33615, "RUB")]


def test_an_amount_of_mostly_zeros_yields_to_its_double_in_another_currency():
    """C6 Bank (Brazil): dollars only for purchases in dollars; and a card is asked which way plus goes."""
    text = (
        "Data de Compra;Nome no Cartão;Descrição;Valor (em US$);Valor (em R$)\n"
        "14/09/2026;M;IFOOD;0,00;45,90\n15/09/2026;M;AIRBNB;120,00;624,00\n16/09/2026;M;Pagamento;0,00;-500,00\n"
    )
    lines, asked = moves(text)
    assert [abs(units) for units, _ in lines] == [4590, 62400, 50000]
    assert {currency for _, currency in lines} == {"BRL"}
    assert asked == {"sign"}


def test_money_out_and_in_are_taken_from_one_pair_of_columns():
    """SumUp (Italy): billed out and in, then the same in the purchase's currency; zeros fill the other side."""
    text = (
        "Data transazione,Tipo transazione,Importo di fatturazione in uscita,Importo di fatturazione in entrata,"
        "Valuta della carta,Importo transazione in uscita,Importo transazione in entrata,Valuta della transazione\n"
        "23/12/2023,Pagamento,12.08,0.00,EUR,13.00,0.00,USD\n22/12/2023,Incasso,0.00,34.35,EUR,0.00,37.00,USD\n"
    )
    assert moves(text) == ([(-1208, "EUR"), (3435, "EUR")], set())


def test_columns_of_accounts_are_no_amounts():
    """Yokoy (Switzerland): which account is debited, each row as one quoted cell."""
    text = '"Datum,""Text"",""KtSoll"",""KtHaben"",""BetragCHF"""\n"10.11.2021,""A, B"",5800,10921,34.5"\n'
    reading = reading_of(text)
    assert amounts(reading) == [34.5]
    assert reading.lines["description"].to_pylist() == ["A, B"]
    assert {question.about for question in reading.questions} == {"sign"}


@pytest.mark.parametrize("header", ["Karte", "Card", "Final do Cartão"])
def test_a_card_is_known_by_a_header_of_that_word_alone(header):
    """Cornèrcard (Switzerland): purchases are plus, and nothing but the column of cards says that it is a card."""
    text = f"Datum;Beschreibung;{header};Betrag\n26/06/2023;A;**1;39.64\n21/06/2023;B;**1;-22.35\n"
    assert "sign" in moves(text)[1]


def test_fees_beside_what_is_left_make_a_merchants_report_and_no_card():
    """Worldline (Germany, Switzerland): the merchant's sales are money in."""
    text = (
        "Transaktionsdatum;Kartennummer;Transaktions- betrag;Eingelieferte Währung;Händler Währung;Bruttobetrag;"
        "Gebühren;Netto Betrag\n17.07.2026;1233;1035.00;CHF;CHF;1035.00;-44.55;990.45\n"
        "18.07.2026;1233;100.00;EUR;CHF;95.00;-4.55;90.45\n"
    )
    lines, asked = moves(text)
    assert lines == [(103500, "CHF"), (9500, "CHF")]
    assert asked == {"sign"}


def test_balances_below_the_rows_are_no_money_in():
    """A rural bank in Italy: dated balances in the column of money in, and a payment that is only announced."""
    text = (
        "DATA;VALUTA;DARE;AVERE;DESCRIZIONE\n29/04/2026;27/04/2026;100,00;;PAGAMENTO\n"
        "04/05/2026;29/04/2026;41,05;;PAGAMENTO\n04/05/2026;prenotata;33,35;;PRE-ADDEBITO\n"
        "04/05/2026;;;555,39;Saldo contabile\n04/05/2026;;;777,04;Disponibilita al\n"
    )
    reading = reading_of(text)
    assert amounts(reading) == [-100.0, -41.05]
    assert [each.reason for each in reading.statements[0].left_out] == [
        "pending",
        "closing balance",
        "closing balance",
    ]
    assert [str(each.amount) for each in reading.statements[0].balances] == ["555.39"]


def test_a_closing_balance_in_the_place_of_the_date_checks_the_file():
    text = (
        "Saldo iniziale al 01/02/2026;;;1.000,00\n\nData contabile;Descrizione;Dare;Avere\n"
        "03/02/2026;A;;100,00\n16/02/2026;B;30,00;\nSaldo finale al 28/02/2026;;;1.070,00\n"
    )
    reading = reading_of(text)
    assert not reading.errors
    assert reading.statements[0].balance_check() == "ok"


def test_rates_of_exchange_suggest_the_decimal_mark_of_three_digits():
    """A card of Migros Bank: 53.100 francs are not fifty-three thousand."""
    rows = "2025-06-21,53.100,CHF,1.000000,A\n2025-06-18,12.850,CHF,0.837934,B\n"
    text = f"Date,Amount,Currency,Exchange Rate,Details\n{rows}"
    [question] = [each for each in reading_of(text).questions if each.about == "decimal"]
    assert question.suggested == "."


def test_the_head_of_a_column_of_accounts_is_no_account():
    """Deutsche Bank: the account stands below its heads, above the table, and the last balance is the opening one."""
    text = (
        "Konto;Filial-/Kontonummer;IBAN;Währung\nGiro;111;DE02120300000000202051;EUR\n\n"
        "Letzter Kontostand;;;;100,0;EUR\nBuchungstag;Wert;Umsatzart;Verwendungszweck;Betrag;Währung\n"
        "1.3.2025;1.3.2025;Abrechnung;Entgelt;-12,9;EUR\nKontostand;1.4.2025;;;87,1;EUR\n"
    )
    [statement] = reading_of(text).statements
    assert statement.account == "DE02120300000000202051"
    assert statement.balance_check() == "ok"


def test_two_letters_that_only_polish_has_are_read_as_polish():
    data = "#Data;#Opis;#Kategoria;#Kwota\n2019-09-25;A;Wpływy;2,00 PLN\n2019-09-26;B;Wpływy;3,00 PLN\n".encode(
        "cp1250"
    )
    assert encoding_of(data) == "cp1250"


KBC = (
    "kredietkaart;datum verrichting;Datum verrekening;bedrag;munt;koers;bedrag in EUR;Handelaar\n"
    "123456;13/02/2020;14/02/2020;-16,52;EUR;1;-16,52;Shop\n"
    "123456;25/01/2020;27/01/2020;-18,00;USD;0,9;-16,20;Shop abroad\n"
)


def test_a_card_is_read_in_what_it_was_charged():
    """KBC Mastercard: the amount abroad stands first, and its currency is a column; then comes the one in euros."""
    assert moves(KBC) == ([(-1652, "EUR"), (-1620, "EUR")], set())


@pytest.mark.parametrize("change", [("kredietkaart", "rekening"), ("-16,52;Shop", "-16,50;Shop")])
def test_what_may_be_a_report_in_one_currency_changes_no_amounts(change):
    """A wallet's own amounts stay, and those of a card whose euros are not the same in both columns."""
    assert moves(KBC.replace(*change))[0] == [(-1652, "EUR"), (-1800, "USD")]


def test_a_processors_report_to_a_shop_is_no_cards():
    """Braintree: "Card Type" is that of the customers; plus is money in unless told otherwise."""
    reading = reading_of(
        "Merchant Account,Card Brand,Card Number,Disbursement Date,Settlement Amount,Settlement Currency\n"
        "shop,Visa,411111******1111,2020-04-08,993.53,EUR\nshop,Visa,411111******1111,2020-04-08,2241.63,EUR\n"
    )
    assert [(each.about, each.suggested) for each in reading.questions] == [("sign", "as_given")]


def test_balances_at_the_start_and_the_end_of_a_period():
    reading = reading_of(
        "Balance at end of period;;31070,09\nDate;Label;Amount\n"
        "13/04/2020;One;-230,68\n14/04/2020;Two;1300,00\nBalance at start of period;;30000,77\n"
    )
    [statement] = reading.statements
    assert not reading.errors
    assert {balance.kind for balance in statement.balances} == {"opening", "closing"}
    assert statement.balance_check() == "ok"


def test_names_and_numbers_of_others_columns():
    """ING (Belgium) names the account itself, Erste (Hungary) numbers the partner's account: not the row's own."""
    [line] = reading_of(
        "Nom du compte;Date comptable;Montant;Devise;Libellés\nCompte à vue;13/03/2024;-45,90;EUR;Loyer\n"
    ).lines.to_pylist()
    assert line["counterparty"] is None
    [line] = reading_of(
        "Dátum;Partner név;Partner számla/azonosító;Összeg;Közlemény\n2024.05.13;Bt;11600006-12345678;-125;számla\n"
    ).lines.to_pylist()
    assert (line["external_id"], line["counterparty"]) == (None, "Bt")


@pytest.mark.parametrize("text", ["2025.11.17., hétfő", "2025/11/17(月)", "2025-11-17 (月)"])
def test_a_day_of_the_week_behind_a_date(text):
    [line] = reading_of(f"Date;Amount;Description\n{text};-1,50;Shop\n").lines.to_pylist()
    assert str(line["booking_date"]) == "2025-11-17"


def test_an_amount_and_its_currency_are_of_one_pair():
    """SEB (Lithuania) puts the account's currency beside the amount paid; both were read as one."""
    pairs = (
        "Date,Description,Transaction amount,Transaction currency,Account amount,Account currency\n"
        "2024-03-13,Shop,-10.00,USD,-9.10,EUR\n2024-03-14,Shop,-4.50,GBP,-5.30,EUR\n"
    )
    assert moves(pairs) == ([(-910, "EUR"), (-530, "EUR")], set())
    payout = (
        "Datum,Beschreibung,Auszahlungswährung,Transaktionsbetrag,Transaktionswährung\n"
        "13.03.2024,Kauf,EUR,10.00,USD\n14.03.2024,Kauf,EUR,-4.50,GBP\n"
    )
    assert moves(payout) == ([(1000, "USD"), (-450, "GBP")], set())
    plain = (
        "Date,Description,Transaction amount,Currency,Transaction fee,Transaction fee currency\n"
        "2024-03-13,Shop,-10.00,EUR,1.00,USD\n2024-03-14,Shop,-4.50,EUR,1.00,USD\n"
    )
    assert [currency for _units, currency in moves(plain)[0]] == ["EUR", "EUR"]
