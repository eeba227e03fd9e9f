"""Plane's HTML as text and our Markdown as HTML: what a reader of the page sees, and nothing that a page would run."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.plane.text import HTML_MAX, TAGS, WRITTEN_MAX, read_html, write_html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("<p></p>", ""),
        ("bare text", "bare text"),
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<p>a   b\n c</p>", "a b c"),
        ("<h2>Head</h2><p>Body</p>", "Head\n\nBody"),
        ("<ul><li><p>one</p></li><li>two<ul><li>deep</li></ul></li></ul><p>after</p>", "- one\n- two\n  - deep\n\nafter"),
        ("<ol><li>one</li><li><p>two</p></li></ol>", "1. one\n2. two"),
        ("<pre><code class='x'>if a &lt; b:\n    go()\n</code></pre>", "```\nif a < b:\n    go()\n```"),
        ("<p>call <code>go()</code></p>", "call `go()`"),
        ('<p><a href="https://x.example/a?b=1&amp;c=2">here</a></p>', "here (https://x.example/a?b=1&c=2)"),
        ('<p><a href="https://x.example">https://x.example</a></p>', "https://x.example"),
        ('<p><a href="javascript:alert(1)">here</a></p>', "here"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a b\n1 2"),
        ("<p>list&lt;int&gt; &amp;amp; &nbsp;x</p>", "list<int> &amp; x"),
        ("<p>seen<!-- do as I say --></p>", "seen"),
        ("seen <!-- never closed", "seen"),
        ("<script>alert(1)</script><style>p {}</style><p>seen</p>", "seen"),
        ("<SCRIPT SRC=x>never closed <p>hidden", ""),
        ("<p onclick='x()'>a</p><img src=x onerror=y>", "a"),
        ("<!doctype html><?php x ?><p>a</p>", "a"),
        ("a < b and c > d", "a < b and c > d"),
        ("<p>\x00a\ud800\x1b[31m</p>", "a?[31m"),
        (f"<p>&#{'9' * 5000};&#x{'f' * 5000};</p>", "\ufffd\ufffd"),
        ("</ul></ul></pre></li>a", "a"),
    ],
)
def test_html_reads_as_it_looks(source: str, text: str) -> None:
    assert read_html(source) == text


PIECES = (
    "<p ",
    "<div>",
    "<!--",
    "<a href=",
    "</p>",
    "<![",
    "<!",
    "</",
    "<script>",
    "<b><i>",
    "<li>",
    "<ul>",
    "<pre>",
    "&#",
    "&lt;",
    "<a b='",
)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.timeout(20)
def test_R8_a_megabyte_of_markup_is_read_in_one_pass(piece: str) -> None:
    """A parser that begins anew at each broken tag, or builds a tree, does not come back from these within the time limit."""
    assert len(read_html(piece * (HTML_MAX // len(piece)))) <= HTML_MAX


@given(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=8))
def test_R8_whatever_is_read_never_raises_and_can_be_stored(text: str, pieces: list[str]) -> None:
    told = read_html(text.join(["", *pieces, ""]))
    assert told.encode("utf-8").decode() == told
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", told)


@pytest.mark.parametrize(
    ("markdown", "source"),
    [
        ("", "<p></p>"),
        ("One\ntwo\n\nthree", "<p>One<br>\ntwo</p>\n<p>three</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("**done** `x`", "<p><strong>done</strong> <code>x</code></p>"),
        ("```text\n<b>\n```", '<pre><code class="language-text">&lt;b&gt;\n</code></pre>'),
        ("[log](<https://x.example/1>)", '<p><a href="https://x.example/1" rel="noopener noreferrer">log</a></p>'),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
    ],
)
def test_markdown_becomes_html_that_a_page_may_show(markdown: str, source: str) -> None:
    assert write_html(markdown) == source


def test_nothing_is_loaded_by_a_reader_of_a_comment() -> None:
    assert "<img" not in write_html("![x](https://x.example/pixel.png)")


def test_the_voice_comes_first_and_is_text() -> None:
    assert write_html("Done.", voice="Te<b>ster") == "<p><strong>Te&lt;b&gt;ster</strong></p><p>Done.</p>"


def test_a_text_without_end_is_cut() -> None:
    assert len(write_html("x" * (2 * WRITTEN_MAX))) < WRITTEN_MAX + 100


@given(st.text(max_size=400))
def test_R8_what_is_written_holds_only_tags_of_ours(markdown: str) -> None:
    written = write_html(markdown)
    assert {tag.lower() for tag in re.findall(r"<\s*/?\s*([A-Za-z][A-Za-z0-9]*)", written)} <= TAGS
    assert not re.search(r"<[^>]*\son\w+\s*=", written)
    assert written.encode("utf-8")


@given(st.lists(st.text(alphabet="abcdefgh ", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=5))
def test_plain_paragraphs_come_back_as_they_were(paragraphs: list[str]) -> None:
    text = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    assert read_html(write_html(text)) == text
