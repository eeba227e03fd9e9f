"""Texts for a chat: whatever stands in them can be parsed, and keeps the limits of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.chat_markdown import read_markdown
from orch.core.chat_text import BYTES_MAX, UNITS_MAX, Line, Piece, Style, fit, line, units
from orch.core.model import Finding, Park, ParkReason
from orch.core.render import render_parked, render_returned
from orch.core.render.quote import inline
from orch.core.stages import Stage
from tests.builders import NOW
from tests.fakes.telegram.entities import Unparsed, parse_html

URLS = st.sampled_from(["", 'https://board.example/1?a=1&b="2"', "javascript:alert(1)", "http://x/<b>", "https://" + "x" * 3000])
PIECES = st.builds(Piece, st.text(max_size=3000), st.sampled_from(Style), URLS)
LINES: st.SearchStrategy[list[Line]] = st.lists(st.lists(PIECES, max_size=4).map(lambda pieces: line(*pieces)), max_size=6)


@given(lines=LINES)
def test_any_text_can_be_parsed_and_keeps_both_limits(lines: list[Line]) -> None:
    text = fit(lines)
    html = text.html()
    parsed, _ = parse_html(html)
    assert parsed == text.plain()
    assert units(parsed) <= UNITS_MAX
    assert len(html.encode()) <= BYTES_MAX


@pytest.mark.parametrize("char", ["a", "&", '"', "<", "ё", "🚂", "\U0010ffff"])
@pytest.mark.parametrize("url", ["", "https://board.example/?" + "&" * 900])
def test_a_text_that_is_far_too_long_is_cut_between_characters_and_says_so(char: str, url: str) -> None:
    text = fit([line(Piece(char * 20_000, Style.BOLD, url)), line("never shown")])
    parsed, _ = parse_html(text.html())
    assert parsed.endswith("…")
    assert set(parsed) == {char, "…"}
    assert UNITS_MAX - 4 <= units(parsed) <= UNITS_MAX


def test_many_links_keep_to_the_bytes() -> None:
    text = fit([line(Piece("x", url="https://board.example/" + "&" * 900)) for _ in range(200)])
    assert len(text.html().encode()) <= BYTES_MAX
    assert text.plain().endswith("…")


def test_what_fits_exactly_is_not_cut() -> None:
    assert fit([line("x" * UNITS_MAX)]).plain() == "x" * UNITS_MAX
    assert fit([line("x"), line("y" * (UNITS_MAX - 2))]).plain().endswith("y")
    assert fit([line("x" * (UNITS_MAX - 1)), line("y")]).plain() == "x" * (UNITS_MAX - 1) + "…"


def test_what_cannot_be_sent_at_all_is_left_out() -> None:
    assert fit([line("a\ud800b\x00c\x1b[31m")]).plain() == "a?bc[31m"


@pytest.mark.parametrize(
    ("piece", "html"),
    [
        (Piece("a < b & c"), "a &lt; b &amp; c"),
        (Piece("x", Style.BOLD), "<b>x</b>"),
        (Piece("x", Style.CODE, "https://a.example"), "<code>x</code>"),
        (Piece("x", url='https://a.example/?q="1"&r'), '<a href="https://a.example/?q=&quot;1&quot;&amp;r">x</a>'),
        (Piece("x", url="javascript:alert(1)"), "x"),
        (Piece("x", user="42"), '<a href="tg://user?id=42">x</a>'),
        (Piece("x", user='1"><b>'), "x"),
        (Piece("  ", Style.BOLD), "  "),
    ],
)
def test_a_piece_becomes_its_element(piece: Piece, html: str) -> None:
    assert fit([(piece,)]).html() == html


def test_the_same_text_has_the_same_name_and_its_buttons_belong_to_it() -> None:
    one = fit([line(Piece("x", Style.BOLD))])
    assert one.digest("a") == fit([line(Piece("x", Style.BOLD))]).digest("a")
    assert len({one.digest("a"), one.digest("b"), one.digest(), fit([line("x")]).digest("a")}) == 4


# ------------------------------------------------------------------------------------------------ our own Markdown


def plain(text: str) -> str:
    return fit(read_markdown(text)).plain()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `code` b", "a <code>code</code> b"),
        ("**demo** is frozen", "<b>demo</b> is frozen"),
        ("[01-brd.md](<https://f.example/a_b>)", '<a href="https://f.example/a_b">01-brd.md</a>'),
        ("- one\n- two", "• one\n• two"),
        ("> said  \n> more", "<blockquote>said\nmore</blockquote>"),
        ("```text\n<b>\n```", "<pre>&lt;b&gt;</pre>"),
        ("````text\n```\n````", "<pre>```</pre>"),
        ("```text\nnever closed", "<pre>never closed</pre>"),
        (r"\<b\>DEMO\-1\</b\>", "&lt;b&gt;DEMO-1&lt;/b&gt;"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("", ""),
    ],
)
def test_what_we_write_for_boards_is_read_back(text: str, html: str) -> None:
    assert fit(read_markdown(text)).html() == html


@given(text=st.text(max_size=500))
def test_any_markdown_becomes_something_that_can_be_parsed(text: str) -> None:
    parse_html(fit(read_markdown(text)).html())


@given(words=st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=80))
def test_others_words_come_out_as_they_went_in(words: str) -> None:
    """What was escaped for the board is plain text in the chat, whatever markup it looks like."""
    wanted = " ".join(words.split())
    assert plain(inline(words)).replace("\u200b", "").strip() == wanted


@given(evidence=st.text(max_size=300), title=st.text(max_size=100))
def test_whole_comments_can_be_shown(evidence: str, title: str) -> None:
    park = Park(reason=ParkReason.RETRIES_EXHAUSTED, since=NOW, evidence=evidence)
    returned = render_returned(Stage.REVIEW, "review", [Finding(title=title, path="a/b")], evidence, 1, 3, "en")
    for text in (render_parked(park, "ru"), returned):
        parse_html(fit(read_markdown(text)).html())


def test_the_fake_refuses_what_the_real_server_refuses() -> None:
    for html, said in (
        ("<x>", 'Unsupported start tag "x" at byte offset 0'),
        ("ё<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("ё</b>", "Unexpected end tag at byte offset 2"),
    ):
        with pytest.raises(Unparsed, match=said.replace("(", r"\(")):
            parse_html(html)
