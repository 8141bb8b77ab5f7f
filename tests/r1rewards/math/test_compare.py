"""Which answers are which golds, by the type of the gold: pairs that must be equal, and pairs that must not."""

# ruff: noqa: E501 - the tables of pairs read better in wide rows
from __future__ import annotations

import pytest

from r1rewards.math.decide import decide, gold_of

EQUAL: dict[str, list[tuple[str, str]]] = {
    "integer": [
        ("1234567", r"1\!,\!234\!,\!567"), ("42", r"\text{The answer is }42"), ("7", r"7\text{ (since } 3+4=7)"), ("7", "x+y=7"), ("five", "5"), ("7", r"2x=14 \Rightarrow x=7"),
        ("42", "42.0"), ("1,234", "1234"), ("12{,}650", "12,650"), ("-5", "−5"), ("23000", r"\$23{,}000"),
        ("8", "2^3"), ("3", r"\sqrt{9}"), ("5", "x = 5"), ("10", r"(9+1)"), ("7", r"\frac{21}{3}"),
        ("120", "5!"), ("2", r"\sqrt{4} = 2"), ("5 000 000", "5000000"), ("25", r"25\%"), ("6", r"\binom{4}{2}"),
        ("1" + "0" * 60, r"10^{60}"),
    ],
    "rational": [
        (r"\frac13", "0.333..."), (r"\frac13", r"33\frac13\%"),
        (r"\frac{1}{2}", "0.5"), ("1/2", r"\dfrac{2}{4}"), (r"\frac{19}{10}", r"1\frac{9}{10}"), ("-3/4", "-0.75"),
        (r"\frac12", "½"), (r"\frac{2}{5}", r"0.8\overline{4} - 0.\overline{4}"), ("918.5", r"918\frac{1}{2}"),
        ("3/2", "1 1/2"), (r"\frac1{72}", "1/72"),
    ],
    "decimal": [
        ("0.458", r"\frac{27}{59}"), ("180.67", r"\frac{542}{3}\text{ seconds}"), ("1000.99", "1000,99"),
        ("0.0000672", ".0000672"), ("2e-10", r"2 \times 10^{-10}"), ("3.54e-07", "3.54 × 10^{-7}"), ("1.50", "3/2"),
        ("2.653", "2.65329"),
    ],
    "percent": [
        (r"12.5\%", r"12\frac12\%"),
        (r"28\%", "28"), (r"28\%", "0.28"), (r"32.8\%", r"\frac{41}{125}"), (r"28\%", "28 percent"),
        ("0.25", r"25\%"),
    ],
    "degrees": [
        (r"100^\circ\text{C}", "100"), (r"100^\circ\text{C}", r"100\text{ degrees Celsius}"), (r"\frac{\pi}{6}\text{ rad}", r"\frac{\pi}{6}"),
        (r"45^\circ", "45"), ("45", "45°"), (r"90^{\circ}", r"90 \text{ degrees}"), (r"\frac{3\pi}{4}", r"135^\circ"),
        (r"\frac{1}{2}", r"\sin 30^\circ"),
    ],
    "units": [
        (r"5 \text{ m}", "5 m"), ("7 kg", "7000 g"), (r"2 \text{ hours } 30 \text{ minutes}", "2 h 30 min"), (r"50 \text{ mL}", r"50 \text{ cm}^3"), ("€5", "5 euros"), (r"60 \text{ km/h}", r"60 \frac{\text{km}}{\text{h}}"),
        (r"5 \text{ m}", r"500 \text{ cm}"), (r"5\text{ m}", "5"), ("5", r"5 \text{ km}"),
        (r"864 \mbox{ inches}^2", "864"), (r"2 \text{ km/h}", r"2 \text{ kilometers per hour}"),
        (r"\$10", "10"), (r"\$5", r"500 \text{ cents}"), (r"9 \text{ square feet}", r"1 \text{ yd}^2"),
        ("3000000", "3 million"), (r"4 \text{ hours and 8 minutes}", r"4 \text{ hours } 8 \text{ minutes}"), ("5^{th}", "5"),
        (r"248 \text{ minutes}", "4 hours and 8 minutes"), (r"125 \text{ miles}", r"125\textnormal{ miles}"),
    ],
    "expression": [
        ("2i", r"\sqrt{-4}"), (r"mg\sin\theta", r"m g \sin \theta"), (r"\binom{r-1}{n-1}", r"\frac{(r-1)!}{(n-1)!(r-n)!}"), (r"\binom{10}{3}", r"{10 \choose 3}"), (r"\sqrt{4^{2012}+1}", r"\sqrt{2^{4024}+1}"),
        ("x^2+2x+1", "(x+1)^2"), (r"\tan^2(y)+1", r"\sec^2(y)"), (r"2 \arcsin \sqrt{a}", r"\arccos(1-2a)"),
        (r"\frac{9\pi}{2}", "9/2 * π"), (r"\frac{bx}{h}(h-x)", r"\frac{bx(h-x)}{h}"), (r"\sqrt{12}", r"2\sqrt3"),
        (r"\frac{1}{\sqrt n}", r"\sqrt{\frac1n}"), (r"2 \cdot 3^{n-1} - n", r"\frac{2}{3} \cdot 3^n - n"),
        (r"\cos(n\pi)", "(-1)^n"), (r"\frac{3^n-1}{2}", r"\sum_{k=0}^{n-1} 3^k".replace("n-1", "n-1")),
        (r"\ln 8", r"3 \ln 2"), (r"\log_2 8", "3"), ("4a-2", "-2+4a"), (r"1+i", r"i+1"), (r"(1+i)^2", "2i"),
        (r"\frac{(2n)!}{n!}", r"n! \binom{2n}{n}"), (r"|x|", r"\sqrt{x^2}"), ("2^{4012}", "4^{2006}"),
        (r"\sqrt[3]{-8}", "-2"), (r"\arctan x", r"\tan^{-1} x"), (r"e^{i\pi}", "-1"), ("xy", "yx"), ("f'", "f'"),
    ],
    "choice": [("C", r"\text{(C)}"), (r"\text{E}", "E"), ("(B)", "B."), ("A", r"\textbf{(A)}\ 12"), ("D", "D) none"), ("B", "Option B"), ("B", "The answer is (B)"), ("B", "(B) is correct"), ("A", "(A) A circle")],
    "tuple": [
        ("(1,2)", "A(1,2)"), ("A(0,1)", "(0,1)"), ("x=2,y=1", r"\begin{cases}x=2\\y=1\end{cases}"),
        ("(1,2)", r"\left(1, 2\right)"), (r"(1,\frac92)", "(1,4.5)"), ("(3,2)", "(p,q)=(3,2)"), ("(0;1)", "(0,1)"),
        (r"(\pm 1, 2)", r"(1,2), (-1,2)"), ("(-7,16,5)", r"\begin{pmatrix}-7\\16\\5\end{pmatrix}"),
        ("(-1,1)", r"a_1 = -1, \quad a_2 = 1"),
    ],
    "list": [
        (r"4x \pm 3y = 0", r"0 = 4x \pm 3y"), (r"y=\pm 2x", r"y=2x \text{ or } y=-2x"),
        ("1,2,3", "3, 2, 1"), ("-2,1", "x = 1 or x = -2"), ("1,2", r"\{2,1\}"), (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
        ("5,15", r"5 \text{ and } 15"), ("7,4", r"7 \text{ goats and } 4 \text{ toys}"), ("16,3", "w=16, d=3"),
        ("(1,2),(3,4)", "(3,4), (1,2)"), ("②③", "2, 3"), ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
        (r"\frac{\pi}{6}+\pi k, \frac{\pi}{3}+\pi k", r"x = \frac{\pi}{3}+n\pi, x = \frac{\pi}{6}+n\pi"),
        ("line segment, circle", r"\text{circle and line segment}"),
    ],
    "interval": [
        (r"(-\infty,3)", r"]-\infty,3["), (r"(-\infty,-1)\cup(1,\infty)", "|x|>1"), (r"(-\infty,-1)\cup(1,\infty)", r"\mathbb{R}\setminus[-1,1]"), (r"(1,2)\cup(3,4)", "(1,2) U (3,4)"), (r"\mathbb{R}", r"\text{all real numbers}"), (r"\emptyset", r"\text{no solution}"), (r"x\ne\pm1", r"x \ne 1, -1"), (r"\mathbb{R}\setminus\{3\}", r"\mathbb{R}-\{3\}"), ("a<0<b", "b>0>a"), ("The range of values for a is [0, 3)", r"0 \le a < 3"),
        ("[0,1)", r"\left[0, 1\right)"), (r"(-\infty,-5)", "k < -5"), (r"x \in [-2,7]", "-2 \\le x \\le 7"),
        (r"(-\infty, 0) \cup (1, +\infty)", r"(1,\infty) \cup (-\infty,0)"), (r"\{x|-2<x<3\}", "(-2,3)"),
        (r"x \le -2 \text{ or } x = 1", r"(-\infty,-2] \cup \{1\}"), (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"\mathbb{R} \setminus \{2\}", r"x \ne 2"), ("[1,3]", r"[1,2] \cup [2,3]"), ("x >= 5", r"5 \leq x"),
        ("{x | 0 < x < 4}", "(0,4)"), ("2x > 4y", "x > 2y"), (r"1 < x, x < 3", "(1,3)"),
    ],
    "equation": [
        ("xy=6", r"y=\frac6x"), ("xy=6", r"\frac6x"), ("2x+4y-3=0", r"-\frac12x+\frac34"), ("a_n=2n+1", r"a_n = 2n+1, n \ge 1"),
        ("y = x^2+1", "1+x^2"), ("f(x)=x+1", "f(n) = n+1"), ("2x+4y-3=0", r"y = -\frac12 x + \frac34"),
        ("k=1", "1"), ("x^2+y^2=4", "2x^2+2y^2-8=0"), ("a_n = 2n", "2n"), (r"\frac{NO}{BO} = \frac12", "1/2"),
        ("A:B=1", "1"), ("f(x) = 1", r"f(x) = 1 \text{ for all } x > 0"), ("a_3 = 2, a_7 = 9", "a_7 = 9, a_3 = 2"),
        (r"x \approx 11", "11"), (r"f^{-1}(2) = 3", "3"),
    ],
    "matrix": [
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]"), (r"\begin{pmatrix}1\\2\end{pmatrix}", "[1,2]^T"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\left[\begin{array}{cc}1 & 2 \\ 3 & 4\end{array}\right]"),
        (r"\begin{pmatrix}2\\4\end{pmatrix}", r"2\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix}0&1\\1&0\end{pmatrix}\begin{pmatrix}0&1\\1&0\end{pmatrix}"),
        ("-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"),
    ],
    "ratio": [("1:2", "2 : 4"), ("2:3:4", "4:6:8"), ("3:4", r"3\text{ to }4")],
    "base": [("1112_3", "1112_{3}"), ("1112_3", "1112"), ("101_2", r"101_{\text{two}}")],
    "modulo": [(r"x \equiv 3 \pmod{7}", r"3 \pmod 7"), (r"x \equiv 2 \pmod 5", r"x \equiv 7 \ (\text{mod } 5)")],
    "text": [(r"\text{Even}", "even"), ("yes", r"\textbf{Yes}."), ("The second player", "second player"), ("yes", "The answer is yes")],
    "time": [("12:00", r"12{:}00".replace("{:}", ":")), ("4:30", r"4:30 \text{ p.m.}")],
}  # fmt: skip

DIFFERENT: dict[str, list[tuple[str, str]]] = {
    "integer": [
        ("42", "42 if True else 0"), ("42", r"42 \text{ unless it is } 43"), ("42", r"42 \text{ is wrong}"), ("42", "43 = 42"), ("42", r"42 \approx 43"), ("42", r"42 \text{ if } n \text{ is even}, 43 \text{ if } n \text{ is odd}"),
        ("42", "43"), ("5", "5.001"), ("1001.5", "1001"), ("2", r"\frac{1+\sqrt5}{2}"), ("2021", r"\pm 2021"),
        ("12", "1, 2"), ("5", "x=4"), ("42", r"9^{9^{9^9}}"), ("1", "-[0,1)"), ("5", r"5 \text{ or } 6"),
        ("1" + "0" * 60, "1" + "0" * 59 + "1"), ("5", "5x"), ("5", "5 6"), ("5000", r"5 \text{ thousands and } 1"),
    ],
    "rational": [
        (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"), (r"\frac{1}{2004!}", r"\frac{1}{2006!}"), ("1/3", "0.3333"),
        ("1/3", "0.33"), (r"\frac{600}{7}", "85.71"), ("1/2", "2"),
    ],
    "decimal": [("0.458", "0.46"), ("6.46", r"\frac{84}{19}"), ("0.3", "1/3"), ("0.5", "0.46"), ("0.25", "0.2537"), ("7.78", "8")],
    "percent": [(r"28\%", r"29\%"), (r"28\%", "2.8"), ("0.25", "25")],
    "units": [
        (r"\$5", "€5"), (r"30^\circ", r"30 \text{ rad}"), ("x = 5 km", r"x = 5 \text{ kg}"), (r"100^\circ\text{C}", r"100^\circ\text{F}"),
        (r"5 \text{ m}", r"5 \text{ km}"), (r"5 \text{ m}", r"5 \text{ kg}"), (r"5 \text{ m}", r"5 \text{ m}^2"),
        (r"\$5", r"5 \text{ cents}"), ("5", "5m"), ("2", "2 billion"), (r"3 \text{ hours}", r"3 \text{ minutes}"),
    ],
    "expression": [
        (r"\sqrt{4^{2012}+1}", r"\sqrt{4^{2012}+2}"), (r"(-1)^n(n+\frac{1-(-1)^n}{2})", r"(-1)^n(n-\frac{1-(-1)^n}{2})"),
        ("x^2", "x^3"), ("x", "|x|"), ("x+2n+1", "x+1"), (r"\sqrt{x}", "x"), ("4a-2", "4b-2"), (r"x + 10^{-12}", "x"),
        (r"\pi", "3.14159"), (r"\pi", "22/7"), (r"\sqrt2", "1.41421356"), ("f'", "f"), ("2xy", "2xyz"), (r"\ln x", r"\log_2 x"),
        ("f'(x)", "g'(x)"),
        (r"F_n = \sum_{k=0}^{n-1} F_k F_{n-k-1}", r"F_n = \sum_{k=0}^{n-2} F_k F_{n-k-2}"),
        (r"2\pi", "2"), ("(a+5)(b+2)", "(+5)(b+2)"),
    ],
    "choice": [("C", "D"), ("C", "A, B, C, D"), ("E", r"\mathrm{E}*2"), ("A", "A or B"), ("B", "5"), ("A", "(A) or (B)"), ("A", "A/B"), ("C", "D. C")],
    "tuple": [("(1,2)", "(2,1)"), ("(1,2)", "(1,2,3)"), ("(3,1)", r"\{1,3\}"), ("(0,9)", "[0,9)"), ("(1,2)", "1")],
    "list": [
        (r"\{1,2,3\}", r"\{\{1,2\},\{3\}\}"), (r"\emptyset", r"\{\emptyset\}"), (r"4x \pm 3y = 0", "4x+3y=0"),
        ("1,2,3", "1,2"), ("1,2", "1,2,3"), ("-2,-2", "-2,-1"), ("n=2, 3, 4", "n=1, 2, 3"), ("1, 2, \\ldots, n", "1, 3, \\ldots, n"),
        ("a_3 = 2, a_7 = 9", "a_3 = 9, a_7 = 2"), (r"\sqrt{67}", r"\sqrt{67},-\sqrt{85}"), (r"1\pm\sqrt2", r"1+\sqrt2"),
    ],
    "interval": [
        ("[0,1]", "0,1"), (r"x\ne\pm1", r"x \ne 1"), ("x>5", "x=5"), ("a<0<b", "a<1<b"),
        ("[0,1)", "(0,1)"), ("[0,1)", "[0,1]"), ("k < -5", "k > -5"), (r"(-\infty,0)\cup(1,\infty)", r"(-\infty,0)"),
        ("x < 1 \\text{ and } x \\ne 0", r"(-\infty,1)"), ("[0,3)", "[0,1]"), ("2x > 4y", "x < 2y"), ("x > 1", "1"), ("x < 1, y > 2", "x < 1, z > 2"),
    ],
    "equation": [
        ("xy=6", r"\frac{6}{x+1}"), ("x(x-1)=0", "x-1=0"), ("f(5)=4-m", "f(6)=4-m"), (r"\sin(\alpha+\beta)=0", r"\sin(\alpha-\beta)=0"), ("f(x)=ax, a>0", "f(x)=ax, a>1"), ("y^2=x", r"\sqrt{x}"),
        ("7 = 11a+c", "11a+c"), ("2x + z = 1", "1"), ("xy = 6", r"\frac{6}{x+1}"), ("y = 2x+1", "y = 2x+2"),
        ("x^2+y^2=4", "x^2+y^2=9"), ("x = 5", "y = 5"), ("f(n)=2n", "f(m)=3m"),
    ],
    "matrix": [
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^T"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "(1,2,3,4)"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ],
    "ratio": [("1:2", "2:1"), ("1:2:3", "1:2")],
    "base": [("1112_3", "1112_4"), ("1112_3", "41"), ("25_6", "17"), ("-37_8", "-38_8")],
    "modulo": [(r"x \equiv 3 \pmod{7}", r"3 \pmod 8"), (r"x \equiv 3 \pmod{7}", "3"), (r"x \equiv 2 \pmod 5", r"x \equiv 2 \pmod 7")],
    "text": [("odd", r"\text{oddd}"), ("yes", "no"), (r"\text{Even}", "42")],
    "time": [("12:00", "1:00"), ("4:30 p.m.", "4:30 a.m."), (r"05\!:\!00", "6:00")],
}  # fmt: skip


def pairs(table: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [pytest.param(g, a, id=f"{kind}: {g} | {a}"[:70]) for kind, rows in table.items() for g, a in rows]


@pytest.mark.parametrize(("gold", "answer"), pairs(EQUAL))
def test_equal(gold: str, answer: str) -> None:
    assert decide(gold, answer).outcome == "right", decide(gold, answer).reason


@pytest.mark.parametrize(("gold", "answer"), pairs(DIFFERENT))
def test_different(gold: str, answer: str) -> None:
    assert decide(gold, answer).outcome == "wrong", decide(gold, answer).reason


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ("42", "integer"), ("-3", "integer"), ("0.5", "decimal"), (r"\frac12", "rational"), (r"5\%", "percent"),
        ("x+1", "expression"), ("(1,2)", "tuple"), ("[1,2)", "interval"), ("x>1", "inequality"), (r"\{1,2\}", "set"),
        ("1,2", "list"), (r"(1,2)\cup(3,4)", "union"), (r"\begin{pmatrix}1\\2\end{pmatrix}", "matrix"), ("y=x", "equation"),
        (r"1\pm2", "plus-minus"), ("12_3", "base-n"), ("C", "choice"), ("the first player", "text"), ("5 km", "quantity"),
    ],
)  # fmt: skip
def test_the_type_of_a_gold(gold: str, kind: str) -> None:
    assert gold_of(gold).kind == kind


def test_a_prose_gold_is_left_to_a_judge() -> None:
    assert decide("The triangle can be cut along the midline", r"\text{cut it in half}").outcome == "gold"
    assert (
        decide(
            "The triangle can be cut along the midline", "the triangle can be cut along the midline"
        ).outcome
        == "right"
    )


def test_a_gold_beyond_the_caps_is_said_to_be_so() -> None:
    assert decide(r"9^{9^{9^9}}", "42").outcome == "gold"
