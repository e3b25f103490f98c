"""What each command of the chat answers, and what it does, whoever carries it."""

from __future__ import annotations

import html
import re
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.chat_office import NOW, WICKED, fill_store, open_chat, text_of
from tests.record_factories import make_fill, make_halt
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import BrokerUnavailable, StoreBusy
from trading_core.model.chat import LONGEST_COMMAND
from trading_core.model.journal import HaltKind
from trading_core.model.operator import CommandState
from trading_core.steps.close import Closed
from trading_core.steps.commands import answering

NINE = "help status positions report scenarios review dashboard stop resume"
MORE = "why orders pnl halt close playbook notify health chart"
READING = "help status positions report scenarios review dashboard orders pnl playbook health"


@pytest.fixture
def chat():
    return open_chat()


@pytest.fixture
def empty_chat():
    return open_chat(filled=False)


def halts(chat):
    with chat.store.read() as reader:
        return reader.open_halts()


def commands(chat):
    with chat.store.read() as reader:
        return [(c.name, c.argument, c.state, c.actor) for c in reader.operator_commands()]


def test_every_command_of_the_menu_is_there_under_its_name():
    assert {name for name, _ in answering.menu()} == {*NINE.split(), *MORE.split()}


@pytest.mark.parametrize("line", READING.split())
async def test_an_empty_store_is_answered_with_words_and_no_zero_that_looks_like_money(
    empty_chat, line
):
    answer = await empty_chat.ask(line)
    assert text_of(answer).strip()
    assert "it failed" not in text_of(answer)
    assert not re.search(r"\b0(\.0+)? (KRW|USD)", text_of(answer))


@pytest.mark.parametrize("line", ["why", "chart", "close", "why 005930", "chart 005930"])
async def test_an_empty_store_knows_no_symbol_and_says_so(empty_chat, line):
    said = text_of(await empty_chat.ask(line)).lower()
    assert "nothing" in said or "no price" in said


async def test_status_says_of_each_market_its_hours_its_day_and_its_limit(chat):
    text = text_of(await chat.ask("status"))
    assert "KR</b> open, closes 15:30 (in 4 h 30 min)" in text
    assert "+0.42 %</b> (+42,000 KRW); breaker below -3.00 %" in text
    assert "US</b> shut, opens Fri 20 Nov 09:30 EST" in text
    assert "-1.23 %</b> (-12.34 USD)" in text


async def test_amounts_of_two_currencies_are_never_summed(chat):
    for line in ("status", "report", "pnl week", "positions"):
        text = text_of(await chat.ask(line))
        assert "41,987" not in text and "42,012" not in text
        assert text.count("KRW") and text.count("USD")


async def test_a_position_stands_at_its_last_observed_price_with_the_way_to_its_stop(chat):
    text = text_of(await chat.ask("positions"))
    assert "70,500 → 71,375: <b>+1.24 %</b> (+8,750 KRW)" in text
    assert "stop 68,385 (-4.19 % away)" in text


async def test_a_holding_without_a_price_has_no_data_and_no_profit(chat):
    with chat.store.write() as tx:
        tx.append([make_fill(fill_id="f-2", intent_id="intent-2", instrument=WICKED)])
    text = text_of(await chat.ask("positions"))
    assert "70,500 → no data: <b>no data</b>" in text
    assert "unrealized +8,750 KRW, 1 price missing" in text
    assert "&lt;b&gt;&amp; Söhne&lt;/b&gt;" in text


async def test_accepted_is_not_filled(chat):
    text = text_of(await chat.ask("orders"))
    assert "BUY 5 <b>000660</b> at 70,500: accepted, nothing filled" in text
    assert "BUY 10 <b>005930</b> at 70,500: filled at 70,500" in text
    assert "<b>AAPL</b> at 190.5: intended, not sent" in text
    report = text_of(await chat.ask("report"))
    assert "Filled: 1 buy, 0 sales" in report
    assert "Accepted, not filled: 1" in report


async def test_a_session_that_was_not_measured_has_no_data_in_the_week(chat):
    text = text_of(await chat.ask("pnl week"))
    assert "Thu 11-19: no data" in text
    assert "Fri 11-20: +42,000 KRW (+0.42 %)" in text


async def test_scenarios_tell_what_matched_and_what_came_close(chat):
    text = text_of(await chat.ask("scenarios"))
    assert "✅ 10:00 <b>005930</b> BUY, confidence 85" in text
    assert "<b>000660</b> BUY: rsi 31, needs &lt; 30.5" in text


async def test_why_tells_the_funnel_of_a_symbol(chat):
    text = text_of(await chat.ask("why 005930"))
    assert "✅ fill: BUY 10 at 70,500 KRW, 10:01" in text
    assert "<b>It traded: BUY 10 at 70,500, decided 10:00.</b>" in text


async def test_a_chart_holds_prices_fills_stop_and_thresholds(chat):
    picture = (await chat.ask("chart 005930")).picture
    assert picture is not None
    assert len(picture.prices) == 12
    assert [(m.is_buy, m.price, m.quantity) for m in picture.marks] == [(True, Decimal(70_500), 10)]
    assert (picture.stop, picture.target) == (Decimal(68_385), Decimal(74_730))
    assert picture.thresholds == [("BUY <= 71,000", 71_000.0)]


@pytest.mark.parametrize("line", ["why", "chart", "close", "halt", "playbook", "notify"])
async def test_what_is_left_out_can_be_pressed(chat, line):
    answer = await chat.ask(line)
    found = [button for row in answer.buttons for button in row]
    assert found
    for button in found:
        assert len(button.command.encode()) <= LONGEST_COMMAND
        assert "it failed" not in text_of(await chat.ask(button.command, tapped=True))


async def test_every_answer_is_html_with_nothing_open(chat):
    with chat.store.write() as tx:
        tx.append([make_halt(reason="<i>& [x](y)", scope="KRW")])
        tx.append([make_fill(fill_id="f-2", intent_id="intent-2", instrument=WICKED)])
    lines = [*NINE.split(), *MORE.split(), "why 000660", "close 000660", "why <b>&", "halt <x>"]
    for line in [*lines, "pnl <b>", "notify <b>", "<b>", "close <b>&"]:
        answer = await chat.ask(line)
        for part in (answer.title, *answer.lines):
            left = re.sub(r"</?(b|i|code)>", "", part)
            assert "<" not in left and ">" not in html.unescape(left).replace(">", ""), (line, part)
            assert re.sub(r"&(lt|gt|amp);", "", left).count("&") == 0, (line, part)
            for tag in ("b", "i", "code"):
                assert part.count(f"<{tag}>") == part.count(f"</{tag}>"), (line, part)


# --- stopping and going on -----------------------------------------------------------------------


async def test_stop_halts_everything_with_the_name_of_who_said_so(chat):
    answer = await chat.ask("stop")
    (halt,) = halts(chat)
    assert (halt.kind, halt.scope) == (HaltKind.OPERATOR, "ALL")
    assert halt.reason == "/stop by telegram:42"
    assert "No entry is sent any more" in text_of(answer)
    assert commands(chat) == [("stop", "ALL", CommandState.DONE, "telegram:42")]
    assert chat.told == [NOW]


async def test_the_same_stop_delivered_again_and_another_one_leave_one_halt(chat):
    for message in (7, 7, 8):
        answer = await chat.ask("stop", message=message)
        assert "Stopped" in answer.title
    assert len(halts(chat)) == 1


async def test_a_stop_that_comes_again_after_it_was_lifted_stops_nothing(chat):
    await chat.ask("stop", message=7)
    await chat.ask("resume")
    await chat.ask("stop", message=7)
    assert halts(chat) == []


async def test_one_market_is_halted_alone(chat):
    await chat.ask("halt us")
    (halt,) = halts(chat)
    assert halt.scope == "US"


async def test_resume_lifts_what_a_person_stopped_and_names_what_it_leaves(chat):
    with chat.store.write() as tx:
        tx.append([make_halt(), make_halt(halt_id="i", kind=HaltKind.INVARIANT, scope="KR")])
    await chat.ask("stop")
    text = text_of(await chat.ask("resume"))
    assert {h.kind for h in halts(chat)} == {HaltKind.BREAKER, HaltKind.INVARIANT}
    assert "✅ lifted: <b>ALL</b>, /stop by telegram:42" in text
    assert "Not lifted:" in text
    assert "<code>ouroboros resume KRW</code>" in text
    assert "<b>KR</b>: reducing" in text and "<b>US</b>: active" in text
    with chat.store.read() as reader:
        (lifted,) = [h for h in reader.halts() if h.lifted_at is not None]
    assert lifted.lifted_by == "/resume by telegram:42"


async def test_a_stop_that_came_while_resume_waited_for_the_store_stands(chat):
    await chat.ask("halt KR")
    before = chat.clock.now()
    chat.clock.advance(timedelta(seconds=2))
    await chat.ask("halt US")
    await chat.ask("resume", at=before)
    assert [halt.scope for halt in halts(chat)] == ["US"]


async def test_resume_of_one_market_leaves_the_others_stopped(chat):
    await chat.ask("halt KR")
    await chat.ask("halt US")
    await chat.ask("resume KR")
    assert [h.scope for h in halts(chat)] == ["US"]


async def test_the_same_resume_delivered_again_lifts_no_later_halt(chat):
    await chat.ask("stop")
    await chat.ask("resume", message=7)
    await chat.ask("stop")
    assert "done before" in text_of(await chat.ask("resume", message=7))
    assert len(halts(chat)) == 1


async def test_what_was_typed_long_ago_is_not_done_unless_it_stops_something(chat):
    await chat.ask("stop", typed_at=NOW - timedelta(hours=3))
    assert len(halts(chat)) == 1
    answer = await chat.ask("resume", typed_at=NOW - timedelta(hours=3))
    assert "Too old" in answer.title
    assert len(halts(chat)) == 1


class Held(DuckStore):
    """A store that others hold for the first so many uses."""

    busy = 0

    @contextmanager
    def write(self):
        if self.busy:
            self.busy -= 1
            raise StoreBusy("held by process 1")
        with super().write() as tx:
            yield tx


async def test_a_stop_waits_for_a_store_that_is_held_and_says_so_when_it_stays_so():
    store = Held(":memory:")
    fill_store(store)
    chat = open_chat(store, filled=False)
    store.busy = 2
    assert "Stopped" in (await chat.ask("stop")).title
    store.busy = 9
    text = text_of(await chat.ask("stop"))
    assert "NOTHING was stopped" in text
    assert "held by process 1" in text


# --- closing -------------------------------------------------------------------------------------


async def test_close_asks_first_and_sells_once_however_often_it_is_pressed(chat):
    question = await chat.ask("close 005930")
    assert "× 10" in text_of(question)
    assert chat.closes == []
    for _ in range(3):
        answer = await chat.tap(question, "Sell")
    assert chat.closes == [({"005930"}, "closed by hand: /close 005930 by telegram:42")]
    assert "nothing is sold twice" in text_of(answer)
    states = [(state, actor) for _, _, state, actor in commands(chat)]
    assert states == [(CommandState.BEGUN, "telegram:42"), (CommandState.DONE, "telegram:42")]


async def test_a_confirmation_expires(chat):
    question = await chat.ask("close all")
    chat.clock.advance(timedelta(seconds=61))
    assert "expired" in (await chat.tap(question, "Sell")).title
    assert chat.closes == []


async def test_a_confirmation_cannot_be_typed(chat):
    question = await chat.ask("close 005930")
    await chat.ask(f"/{question.buttons[0][0].command}")
    assert chat.closes == []


async def test_close_all_closes_everything(chat):
    await chat.tap(await chat.ask("close all"), "Sell")
    assert chat.closes == [(None, "closed by hand: /close ALL by telegram:42")]


async def test_left_as_it_is_sells_nothing(chat):
    await chat.tap(await chat.ask("close all"), "Leave")
    assert chat.closes == []


async def test_a_close_that_was_begun_before_a_crash_is_not_begun_again(chat):
    question = await chat.ask("close 005930")
    with chat.store.write() as tx:
        asked = chat.asked("close! 005930", tapped=True)
        origin = question.buttons[0][0].command.split()[-1]
        from trading_core.model.operator import OperatorCommand

        row = OperatorCommand(f"{origin}-close", CommandState.BEGUN, NOW, asked.actor, "close")
        tx.append([row])
    answer = await chat.tap(question, "Sell")
    assert "interrupted" in answer.title
    assert chat.closes == []


async def test_a_close_that_fails_says_why_and_is_written_down_as_failed(chat, monkeypatch):
    async def down(symbols, because):
        raise BrokerUnavailable("the broker gave no answer")

    office = type(chat.office)
    values = {name: getattr(chat.office, name) for name in office.__dataclass_fields__}
    chat.office = office(**(values | {"close": down}))
    answer = await chat.tap(await chat.ask("close 005930"), "Sell")
    assert "the broker gave no answer" in text_of(answer)
    assert commands(chat)[-1][2] is CommandState.FAILED


async def test_what_is_not_sold_is_said(chat):
    chat.closed = Closed(working=("000660",), stuck={"005930": "no usable price"})
    text = text_of(await chat.tap(await chat.ask("close all"), "Sell"))
    assert "0 sales accepted" in text
    assert "A sale of <b>000660</b> is at work already." in text
    assert "⚠ <b>005930</b> is not being sold: no usable price" in text


async def test_what_is_not_held_is_not_closed(chat):
    assert "is not held" in text_of(await chat.ask("close AAPL"))


# --- the rest ------------------------------------------------------------------------------------


async def test_a_level_is_set_with_the_name_of_who_set_it(chat):
    text = text_of(await chat.ask("notify review off"))
    assert "review" in text and "off" in text
    with chat.store.read() as reader:
        assert reader.notification_levels()["review"] == "off"
    assert commands(chat) == [("notify", "review off", CommandState.DONE, "telegram:42")]


async def test_a_level_or_kind_that_there_is_not_is_said(chat):
    assert "no level" in text_of(await chat.ask("notify review loud"))
    assert "no kind" in text_of(await chat.ask("notify nothing"))


async def test_health_shows_what_is_wrong_and_what_the_listener_says(chat):
    office = type(chat.office)
    values = {name: getattr(chat.office, name) for name in office.__dataclass_fields__}
    chat.office = office(**(values | {"listener_lines": lambda at: ["▫️ ignored: 3"]}))
    await chat.ask("stop")
    text = text_of(await chat.ask("health"))
    assert "▫️ ignored: 3" in text
    assert "⚠ 1 halt standing" in text
    assert "⚠ <b>KR</b>: open, no session runs" in text
    assert "✅ backup 4 h 0 min old, verified" in text


async def test_a_command_that_breaks_is_a_sentence_and_no_traceback(chat, monkeypatch):
    broken = dict(answering.COMMANDS)
    broken["status"] = answering.Command(lambda call: 1 / 0, "x")
    monkeypatch.setattr(answering, "COMMANDS", broken)
    assert "it failed (ZeroDivisionError)" in text_of(await chat.ask("status"))


@pytest.mark.parametrize("line", ["nonsense", "close!", "leave", "<b>"])
async def test_what_is_no_command_is_said(chat, line):
    assert "There is no command" in (await chat.ask(line)).title
