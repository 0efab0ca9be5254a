"""Attempts to hide, drop, counterfeit or break identity and way out, and honest templates."""

# ruff: noqa: E501 - a template reads best on one line

from dataclasses import replace

import pytest
from css_inline import CSSInliner

from sender.errors import TemplateError
from sender.rendering import markup
from sender.rendering.refusal import MessageRefused
from sender.vocabulary import Reason
from tests.unit.rendering_samples import CHARITY, NAMED, PARTY, email_renderer, person, sms_renderer

NAME = "{{ controller.name }}"
WHERE = "{{ controller.postal_address }}"
OUT = '<p><a href="{{ opt_out_url }}">Unsubscribe</a></p>'
WHO = f"<p>{NAME}, {WHERE}</p>"
FOOT = WHO + OUT


def styled(style: str) -> str:
    return f'<div style="{style}">{FOOT}</div>'


def sheet(css: str) -> str:
    return f'<html><head><style>{css}</style></head><body><div class="f">{FOOT}</div></body></html>'


HIDDEN = {
    "display none": styled("display:none"),
    "display none important": styled("display: NONE ! important"),
    "visibility": styled("visibility:hidden"),
    "opacity": styled("opacity:0.01"),
    "font size 0": styled("font-size:0"),
    "font size 1px": styled("font-size:1px"),
    "font size tiny relative": styled("font-size:5%"),
    "font shorthand": styled("font:1px/1px arial"),
    "font of signs": styled("font-family:Wingdings"),
    "white on white": styled("color:#fff"),
    "white on white by name": styled("color:white;background:white"),
    "nearly white": styled("color:#f4f4f4;background-color:#fff"),
    "grey on inherited grey": f'<div style="background:#999">{styled("color:rgb(150,150,150)")}</div>',
    "transparent colour": styled("color:transparent"),
    "alpha": styled("color:rgba(0,0,0,0.02)"),
    "bgcolor attribute": f'<table bgcolor="#000000"><tr><td>{FOOT}</td></tr></table>',
    "max-height": styled("max-height:0;overflow:hidden"),
    "height": styled("height:1px;overflow:hidden"),
    "width": styled("width:0;overflow:hidden"),
    "far right": styled("padding-left:3000px"),
    "text indent": styled("text-indent:-9999px"),
    "letter spacing": styled("letter-spacing:-20px"),
    "line height": styled("line-height:0"),
    "mso-hide": styled("mso-hide:all"),
    "struck out": f"<del>{FOOT}</del>",
    "text decoration": styled("text-decoration:line-through"),
    "written backwards": styled("direction:rtl"),
    "hidden attribute": f"<div hidden>{FOOT}</div>",
    "aria-hidden": f'<div aria-hidden="true">{FOOT}</div>',
    "unclosed hidden block before it": f'<div style="display:none"><p>psst</p>{FOOT}',
    "formatting element over paragraphs": f'<b style="display:none"><p>x</p>{FOOT}</b>',
    "style sheet class": sheet(".f{display:none}"),
    "style sheet descendant": sheet("div p{font-size:0}"),
    "style sheet universal": sheet("*{color:#ffffff}"),
    "phone width": sheet("@media (max-width:480px){.f{display:none !important}}"),
    "dark mode": sheet("@media (prefers-color-scheme:dark){.f{background:#111;color:#222}}"),
    "dark page with dark text": sheet(
        ":link{color:#000}.f{color:#000}</style><meta name='color-scheme' content='light dark'><style>"
    ),
    "two conditions together": sheet(
        "@media (max-width:480px){.f{background-color:#000}}"
        "@media (prefers-color-scheme:light){.f{color:#111}}"
    ),
    "print": sheet("@media print{.f p{visibility:hidden}}"),
    "hover": sheet(".f:hover{display:none}"),
    "the first of two declarations wins": styled("display:none !important;display:block"),
    "two sizes": styled("font-size:0;font-size:14px"),
    "two colours, browsers differ": styled("color:#000;color:#fff"),
}
DROPPED = {
    "nothing": "<p>Hello</p>",
    "no identity": OUT,
    "no opt-out": WHO,
    "no address": f"<p>{NAME}</p>{OUT}",
    "in a comment": f"<!-- {WHO} -->{OUT}",
    "open comment": f"<p>Hello</p><!-- {FOOT}",
    "in an attribute": f'<p title="{NAME}, {WHERE}">Hello</p>{OUT}',
    "in the alt text": f'<img src="https://a.org/x.png" alt="{NAME} {WHERE}">{OUT}',
    "in the title": f"<html><head><title>{NAME} {WHERE}</title></head><body>{OUT}</body></html>",
    "open title": f"<title>x{FOOT}",
    "open style": f"<p>x</p><style>{FOOT}",
    "in a textarea": f"<textarea>{FOOT}</textarea>",
    "in a template": f"<template>{FOOT}</template>",
    "in details": f"<details><summary>x</summary>{FOOT}</details>",
    "in noscript": f"<noscript>{FOOT}</noscript>",
    "from recipient values": "<p>{{ recipient.first_name }} {{ recipient.last_name }}</p>" + OUT,
    "link without text": f'{WHO}<a href="{{{{ opt_out_url }}}}"></a>',
    "link with a picture only": f'{WHO}<a href="{{{{ opt_out_url }}}}"><img src="https://a.org/x.png" alt="Unsubscribe"></a>',
    "link of one space": f'{WHO}<a href="{{{{ opt_out_url }}}}">&nbsp;</a>',
    "link of a value": f'{WHO}<p>Unsubscribe: <a href="{{{{ opt_out_url }}}}">{{{{ recipient.first_name }}}}</a></p>',
    "link that does not say so": f'{WHO}<a href="{{{{ opt_out_url }}}}">A great offer</a>',
    "url as text only": f"{WHO}<p>Unsubscribe: {{{{ opt_out_url }}}}</p>",
    "split by hidden letters": f'<p>Friends of<span style="font-size:12px">x</span> Owls</p><p>{WHERE}</p>{OUT}',
    "part of another name": f"<p>Friends of Owlsworth, {WHERE}</p>{OUT}",
    "empty loop": "{% for x in [] %}" + FOOT + "{% endfor %}",
}
COUNTERFEIT = {
    "elsewhere": f'{FOOT}<a href="https://evil.org/u">Unsubscribe</a>',
    "elsewhere, spelled out": f'{FOOT}<a href="https://evil.org/u">Stop receiving these e-mails</a>',
    "opt out by mail": f'{FOOT}<a href="mailto:x@evil.org">opt out</a>',
    "click here": f'{FOOT}<p>To unsubscribe, <a href="https://evil.org/u">click here</a>.</p>',
    "zero-width letters": f'{FOOT}<a href="https://evil.org/u">Un&#8203;subscribe</a>',
    "soft hyphen": f'{FOOT}<a href="https://evil.org/u">Unsub&shy;scribe</a>',
    "full-width letters": f'{FOOT}<a href="https://evil.org/u">\uff35\uff4e\uff53\uff55\uff42\uff53\uff43\uff52\uff49\uff42\uff45</a>',
    "Cyrillic letter": f'{FOOT}<a href="https://evil.org/u">Unsub\u0455cribe</a>',
    "picture": f'{FOOT}<a href="https://evil.org/u"><img src="https://a.org/x.png" alt="Unsubscribe"></a>',
    "split over elements": f'{FOOT}<a href="https://evil.org/u">Unsub<b>scribe</b></a>',
    "preferences": f'{FOOT}<a href="https://evil.org/u">Manage your preferences</a>',
    "altered url": f'{WHO}<p><a href="{{{{ opt_out_url }}}}x">Unsubscribe</a></p>',
    "wrapped url": f'{WHO}<p><a href="https://track.org/?u={{{{ opt_out_url }}}}">Unsubscribe</a></p>',
}
BROKEN = {
    "script": f"<script>document.body.innerHTML=''</script>{FOOT}",
    "form": f'<form action="https://evil.org">{FOOT}</form>',
    "iframe": f'{FOOT}<iframe src="https://evil.org"></iframe>',
    "object": f"{FOOT}<object></object>",
    "svg": f"{FOOT}<svg><style>p{{}}</style></svg>",
    "base": f'<base href="https://evil.org">{FOOT}',
    "refresh": f'<meta http-equiv="refresh" content="0;url=https://evil.org">{FOOT}',
    "style link": f'<link rel="stylesheet" href="https://evil.org/x.css">{FOOT}',
    "javascript": f'{FOOT}<a href="javascript:alert(1)">x</a>',
    "javascript with a tab": f'{FOOT}<a href="java&#9;script:alert(1)">x</a>',
    "data": f'{FOOT}<a href="data:text/html,x">x</a>',
    "empty link": f'{FOOT}<a href="">x</a>',
    "relative link": f'{FOOT}<a href="/x">x</a>',
    "event": f'<p onclick="x()">x</p>{FOOT}',
    "overlay": f'{FOOT}<div style="position:absolute;top:0">x</div>',
    "overlay by margin": f'{FOOT}<div style="margin-top:-900px;background:#fff">x</div>',
    "overlay by sheet": sheet(".f{margin-top:-90em}"),
    "moved": styled("transform:scale(0)"),
    "cut": styled("clip-path:inset(50%)"),
    "cut old": styled("clip:rect(0,0,0,0)"),
    "picture behind": styled("background-image:url(https://evil.org/x.png)"),
    "picture behind, attribute": f'<table background="https://evil.org/x.png"><tr><td>{FOOT}</td></tr></table>',
    "css import": sheet("@import url(https://evil.org/x.css);"),
    "css supports": sheet("@supports (display:grid){.f{display:none}}"),
    "css escape": sheet(".f{displ\\61y:none}"),
    "css keyframes": sheet("@keyframes k{to{opacity:0}} .f{animation:k 1s}"),
    "css variable": styled("color:var(--x)"),
    "css attribute selector": sheet('[class="f"]{display:none}'),
    "css not": sheet("div:not(.x){display:none}"),
    "css generated text": sheet(".f::after{content:'x'}"),
    "media inside media": sheet("@media screen{@media (max-width:9px){.f{display:none}}}"),
    "css open comment": sheet("/* .f{display:none}"),
    "outlook comment": f"<!--[if mso]><style>.f{{display:none}}</style><![endif]-->{FOOT}",
    "raw braces": f"<p>Dear {{% raw %}}{{{{ first_name }}}}{{% endraw %}}</p>{FOOT}",
    "raw statement": f"<p>{{% raw %}}{{% if x %}}{{% endraw %}}</p>{FOOT}",
    "value as whole link": f'{FOOT}<a href="{{{{ recipient.first_name }}}}">x</a>',
    "value as host": f'{FOOT}<a href="https://{{{{ recipient.first_name }}}}/x">x</a>',
    "value in a style": f'<p style="color:{{{{ recipient.first_name }}}}">x</p>{FOOT}',
    "value in a sheet": sheet(".f{color:{{ recipient.first_name }} }"),
    "value as attribute": f"<p {{{{ recipient.first_name }}}}>x</p>{FOOT}",
    "value as class": f'<p class="{{{{ recipient.first_name }}}}">x</p>{FOOT}',
    "opt-out as picture": f'{FOOT}<img src="{{{{ opt_out_url }}}}" alt="">',
}
ATTEMPTS = {**HIDDEN, **DROPPED, **COUNTERFEIT, **BROKEN}
FIELDS = {"first_name": "Friends of Owls", "last_name": "9 Barn Lane, Otley LS21 9ZZ"}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_every_attempt_is_refused_at_launch_and_again_at_dispatch(attempt: str) -> None:
    renderer = email_renderer(ATTEMPTS[attempt])
    assert renderer.check([frozenset(FIELDS)]).errors
    with pytest.raises(MessageRefused) as refusal:
        renderer.render(person(FIELDS))
    assert refusal.value.reason is Reason.RENDERED_CHECK
    assert "Owls" not in str(refusal.value)


def test_there_are_enough_attempts() -> None:
    assert len(ATTEMPTS) >= 100


@pytest.mark.parametrize("attempt", HIDDEN)
def test_hidden_ones_are_recognised_as_hidden(attempt: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(HIDDEN[attempt]).render(person(FIELDS))
    assert refusal.value.code in {"identity-hidden", "opt-out-hidden"}


@pytest.mark.parametrize(
    "source",
    [
        f"<p><table><h1>x</h1></table>{FOOT}",
        f'{FOOT}<a href="https://a.org/1"><h1><table>x<a href="https://a.org/2"><b>',
        f"{FOOT}<tr><p><table>x<pre>",
    ],
)
def test_what_browsers_would_mend_is_mended_before_it_is_checked(source: str) -> None:
    sent = email_renderer(source).render(person()).html
    browser = CSSInliner(inline_style_tags=False, keep_style_tags=True)
    assert browser.inline(sent) == sent
    assert browser.inline(source) != browser.inline(browser.inline(source))


def test_what_does_not_settle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsettled:
        """Reads the same HTML in another way each time."""

        rounds = 0

        def inline(self, html: str) -> str:
            self.rounds += 1
            return html + "<br>" * self.rounds

    monkeypatch.setattr(markup, "_NORMALISER", Unsettled())
    with pytest.raises(MessageRefused, match="different ways"):
        markup.prepare("<p>x</p>")


LAYOUT_ATTEMPTS = {
    "closes the tables and hides what follows": "</td></tr></table></td></tr></table>"
    '<div style="display:none"><table><tr><td><table><tr><td>',
    "hides the rows that follow": '</td></tr><tbody style="display:none"><tr><td>',
    "opens a comment": "<!--",
    "opens a textarea": "<textarea>",
    "hides the layout's class": "<style>.foot{display:none!important}</style>",
    "hides it on phones": "<style>@media (max-width:480px){.foot p{display:none!important}}</style>",
    "recolours it": "<style>.foot, .foot p, .foot a, .foot strong{color:#f7f8fa!important}</style>",
    "counterfeit": '<p><a href="https://evil.org/">Unsubscribe</a></p>',
}


@pytest.mark.parametrize("attempt", LAYOUT_ATTEMPTS)
def test_a_campaign_cannot_undo_its_layout(attempt: str) -> None:
    renderer = email_renderer(LAYOUT_ATTEMPTS[attempt], profile=PARTY, layout=True)
    assert renderer.check([frozenset()]).errors
    with pytest.raises(MessageRefused):
        renderer.render(person())


BEHIND_A_VALUE = {
    "if": "{% if recipient.ward | default('') == 'Hyde' %}<div style='display:none'>{% endif %}"
    + FOOT,
    "if around": "{% if recipient.ward | default('') != 'Hyde' %}" + FOOT + "{% endif %}",
    "elif": "{% if recipient.a is defined %}x{% elif recipient.ward | default('') == 'Hyde' %}<!--{% endif %}"
    + FOOT,
    "nested": "{% if recipient.a | default('') %}{% if recipient.ward | default('') == 'Hyde' %}<textarea>{% endif %}{% endif %}"
    + FOOT,
    "nested in an elif": "{% if recipient.a | default('') %}x{% elif recipient.ward | default('') %}{% if recipient.wards | default([]) %}<textarea>{% endif %}{% endif %}"
    + FOOT,
    "loop": "{% for w in recipient.wards | default([]) %}<div hidden>{% endfor %}" + FOOT,
}


@pytest.mark.parametrize("attempt", BEHIND_A_VALUE)
def test_a_branch_cannot_hide_behind_a_value(attempt: str) -> None:
    renderer = email_renderer(BEHIND_A_VALUE[attempt])
    assert renderer.check([frozenset()]).errors
    with pytest.raises(MessageRefused):
        renderer.render(
            person({"a": "1" if attempt == "nested" else None, "ward": "Hyde", "wards": ["x"]})
        )


HONEST = {
    "plain": FOOT,
    "whole document": f"<!DOCTYPE html><html><head><title>x</title></head><body>{FOOT}</body></html>",
    "upper case": "<p>{{ controller.name | upper }}<br>{{ controller.postal_address | upper }}</p>" + OUT,
    "dark footer": f'<div style="background-color:#222"><p style="color:#eee">{NAME}<br>{WHERE}</p><p><a style="color:#9cf" href="{{{{ opt_out_url }}}}">Opt out</a></p></div>',
    "sentence with link": f'{WHO}<p>Don\'t want these? You can <a href="{{{{ opt_out_url }}}}">unsubscribe here</a>.</p>',
    "here, explained": f'{WHO}<p>To unsubscribe, <a href="{{{{ opt_out_url }}}}">click here</a>. <a href="https://a.org/p">Privacy notice</a></p>',
    "hidden preheader": f'<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">Preview</div>{FOOT}',
    "author's comment": f"<!-- remember the photo -->{FOOT}",
    "picture": f'<img src="https://a.org/owl.png" alt="An owl" width="560" style="display:block;width:100%;height:auto">{FOOT}',
    "button": f'<table role="presentation"><tr><td style="padding:12px 20px;background:#063;border-radius:4px"><a href="https://a.org/join" style="color:#fff;text-decoration:none">Join us</a></td></tr></table>{FOOT}',
    "responsive": sheet(".f{padding:20px;font-size:14px;color:#444}@media (max-width:480px){.f{padding:8px !important;font-size:16px !important}}"),
    "dark mode": sheet(".f{background:#fff;color:#333}.f a{color:#06c}@media (prefers-color-scheme:dark){.f{background:#111 !important;color:#ddd !important}.f a{color:#9cf !important}}"),
    "hover": sheet(".f a:hover{color:#900}"),
    "column hidden on phones": sheet("@media (max-width:480px){.side{display:none !important}}").replace("<body>", '<body><div class="side">More</div>'),
    "letter-spaced heading": f'<h2 style="letter-spacing:1px;text-transform:uppercase">{NAME}</h2><p style="margin:0 0 10px 0">{WHERE}</p>{OUT}',
    "campaign against a closure": f'<p>Help stop this closure. <a href="https://a.org/stop">Stop the closure</a> or <a href="https://a.org/here">read more here</a>.</p>{FOOT}',
    "value in a link": f'<p><a href="https://a.org/p?ward={{{{ recipient.first_name }}}}" title="For {{{{ recipient.first_name }}}}">Your ward</a></p>{FOOT}',
    "list and rule": f"<ul><li>One</li><li>Two</li></ul><hr>{FOOT}",
    "phone and mail links": f'<p><a href="tel:+441134960000">Call</a> or <a href="mailto:hoot@a.org">write</a></p>{FOOT}',
    "single braces": f"<p>f(x) = {{x}} % y #1</p>{FOOT}",
}  # fmt: skip


@pytest.mark.parametrize("honest", HONEST)
def test_honest_templates_pass(honest: str) -> None:
    renderer = email_renderer(HONEST[honest])
    assert renderer.check([frozenset(FIELDS)]).errors == ()
    message = renderer.render(person(FIELDS))
    renderer.check_fully(message.html, message.text, person(FIELDS))


SMS_ATTEMPTS = {
    "no name": "Owls need you.",
    "name from a value": "{{ recipient.first_name }} needs you",
    "stop to a paid number": "{{ sender_name }}: text STOP to 60777 to opt out",
    "stop with more": "{{ sender_name }}: hello. Reply STOP and your bank details",
    "opt out elsewhere": "{{ sender_name }}: hello. Opt out: https://evil.org/u",
    "opt out elsewhere, bare": "{{ sender_name }}: hello. To unsubscribe go to evil.org/u",
    "opt out by mail": "{{ sender_name }}: hello. Unsubscribe: x@evil.org",
    "raw braces": "{{ sender_name }}: hello {% raw %}{{ name }}{% endraw %}",
    "empty": "   ",
}


@pytest.mark.parametrize("attempt", SMS_ATTEMPTS)
def test_every_attempt_by_sms_is_refused(attempt: str) -> None:
    renderer = sms_renderer(SMS_ATTEMPTS[attempt])
    assert renderer.check([frozenset(FIELDS)]).errors
    with pytest.raises(MessageRefused):
        renderer.render(person(FIELDS, sms=True))


def test_a_sender_that_cannot_receive_does_not_ask_for_a_reply() -> None:
    renderer = sms_renderer("{{ sender_name }}: hello. Reply STOP to opt out", identity=NAMED)
    with pytest.raises(MessageRefused) as refusal:
        renderer.render(person(sms=True))
    assert refusal.value.code == "opt-out-counterfeit"


IMPRINT = "<p>Promoted by {{ controller.promoter_name }}, {{ controller.promoter_address }}</p>"
BOTH = (
    "{% for b in controller.on_behalf_of %}<p>{{ b.name }}, {{ b.postal_address }}</p>{% endfor %}"
)


@pytest.mark.parametrize(
    ("html", "code"),
    [
        (FOOT + BOTH, "imprint-missing"),
        (FOOT + IMPRINT, "identity-missing"),
        (FOOT + BOTH + f"<div hidden>{IMPRINT}</div>", "imprint-hidden"),
        (FOOT + IMPRINT + f"<div hidden>{BOTH}</div>", "identity-hidden"),
        (FOOT + IMPRINT + "{% for b in controller.on_behalf_of %}{{ b.name }}{% endfor %}", "identity-missing"),
    ],
)  # fmt: skip
def test_the_imprint_is_due_from_campaigners(html: str, code: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(html, profile=PARTY).render(person())
    assert refusal.value.code == code


def test_the_imprint_passes_when_all_are_named() -> None:
    email_renderer(FOOT + IMPRINT + BOTH, profile=PARTY).render(person())


def test_a_controller_without_an_address_sends_nothing() -> None:
    nobody = replace(CHARITY, postal_address=" ")
    with pytest.raises((MessageRefused, TemplateError)):
        email_renderer(FOOT, profile=nobody).render(person())
