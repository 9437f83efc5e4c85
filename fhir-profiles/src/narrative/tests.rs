//! Narratives that are taken and narratives that are not (ATTACKS X19).

use super::*;

fn judged(inside: &str) -> Option<&'static str> {
    let text = format!(r#"<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>"#);
    xhtml::check(&text).err().map(|fault| fault.key)
}

#[test]
fn basic_formatting_is_taken() {
    for inside in [
        "a",
        "é &lt; &#233; &#xE9; &amp; &quot;x&apos;",
        "<p>a</p><hr/><br />b",
        "<br></br>a",
        r#"<p style="color: red; border: 1px solid" class='x' lang="de" xml:lang="de">a</p>"#,
        r#"<table border="1"><caption>c</caption><tbody><tr><td colspan="2" nowrap="nowrap">a</td></tr></tbody></table>"#,
        r##"<a href="#b" name="n">a</a><a href="Patient/1">b</a><a href="mailto:a@b">c</a><a href="//h/p:q?r:s">d</a>"##,
        r##"<img src="#pic" alt=""/>"##,
        r#"<img src="data:image/png;base64,AAAA"/>"#,
        r#"<img src="https://example.org/a.png"></img>"#,
        "<!-- note -->a",
        "a > b ' \"",
        "<div><div>a</div></div>",
        "<ul>\n<li>a</li>\n</ul>",
    ] {
        assert_eq!(judged(inside), None, "{inside}");
    }
    assert!(xhtml::check("<div>a</div>").is_ok(), "the namespace may be left out in JSON");
}

#[test]
fn what_acts_or_loads_is_refused() {
    for inside in [
        "<script>alert(1)</script>a",
        "<SCRIPT>alert(1)</SCRIPT>a",
        "<script/>a",
        r#"<img src="x" onerror="alert(1)"/>"#,
        r#"<p onclick="alert(1)">a</p>"#,
        r#"<p ONCLICK="alert(1)">a</p>"#,
        r#"<p on:click="alert(1)">a</p>"#,
        r#"<a href="javascript:alert(1)">a</a>"#,
        r#"<a href=" JaVaScRiPt:alert(1)">a</a>"#,
        r#"<a href="java&#10;script:alert(1)">a</a>"#,
        r#"<a href="&#106;avascript:alert(1)">a</a>"#,
        r#"<a href="java&#x9;script&#58;alert(1)">a</a>"#,
        "<a href=\"java\tscript:alert(1)\">a</a>",
        r#"<a href="vbscript:x">a</a>"#,
        r#"<a href="data:text/html,x">a</a>"#,
        r#"<a href="data:image/png;base64,AAAA">a</a>"#,
        r#"<img src="data:image/svg+xml;base64,AAAA"/>"#,
        r#"<img src="javascript:alert(1)"/>"#,
        r#"<blockquote cite="javascript:x">a</blockquote>"#,
        "<svg/>a",
        r#"<svg xmlns="http://www.w3.org/2000/svg"><circle/></svg>a"#,
        r#"<p xmlns="http://www.w3.org/2000/svg">a</p>"#,
        r#"<p xmlns:x="http://www.w3.org/1999/xlink">a</p>"#,
        r#"<a xlink:href="x">a</a>"#,
        "<math>a</math>",
        r#"<iframe src="http://a"></iframe>a"#,
        r#"<object data="x"/>a"#,
        r#"<embed src="x"/>a"#,
        "<applet>a</applet>",
        r#"<form action="x"><input/></form>a"#,
        "<input/>a",
        "<button>a</button>",
        "<textarea>a</textarea>",
        r#"<link rel="stylesheet" href="x"/>a"#,
        r#"<base href="x"/>a"#,
        r#"<meta charset="x"/>a"#,
        "<style>p { color: red }</style>a",
        "<head/>a",
        "<body>a</body>",
        "<title>a</title>",
        "<frameset/>a",
        "<noscript>a</noscript>",
        "<template>a</template>",
        "<video/>a",
        "<ins>a</ins>",
        "<del>a</del>",
        "<font>a</font>",
        "<center>a</center>",
        "<u>a</u>",
        r#"<p style="width: expression(alert(1))">a</p>"#,
        r#"<p style="width: exp/**/ression(alert(1))">a</p>"#,
        r#"<p style="width: e\xpression(alert(1))">a</p>"#,
        r#"<p style="background: url(http://a/b)">a</p>"#,
        r#"<p style="background: U&#82;L (http://a/b)">a</p>"#,
        r#"<p style="@import 'x'">a</p>"#,
        r#"<p style="behavior:x">a</p>"#,
        r#"<p style="-moz-binding:x">a</p>"#,
        r#"<p srcdoc="x">a</p>"#,
        r#"<p href="x">a</p>"#,
        r#"<p background="x">a</p>"#,
    ] {
        assert_eq!(judged(inside), Some("txt-1"), "{inside}");
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for inside in [
        "<p>a",
        "a</p>",
        "<p>a</b>",
        "<b><i>a</b></i>",
        "a</div><div>b",
        "a & b",
        "a &nbsp; b",
        "&eacute;",
        "&#0;",
        "&#x1F;",
        "&#xD800;",
        "&#xFFFE;",
        "&#-1;",
        "&#+1;",
        "&#x;",
        "&#;",
        "&",
        "&lt",
        "a < b",
        "<",
        "<p",
        "< p>a</p>",
        "<p a>",
        "<p class>a</p>",
        "<p class=a>a</p>",
        "<p class='a>a</p>",
        "<p class='a'id='b'>a</p>",
        "<p class='a' class='b'>a</p>",
        "<p class='<'>a</p>",
        "<p / >a</p>",
        "<P>a</P>",
        "<br>a",
        "<br>a</br>",
        "<?php x ?>a",
        "<!DOCTYPE html>a",
        "<![CDATA[a]]>",
        "a]]>b",
        "<!-- a -- b -->c",
        "<!--> <img src=\"x\"/> -->c",
        "<!---> a -->c",
        "<!-- a --->c",
        "<!-- a --!> b -->c",
        "<!--[if IE]> a <![endif]-->c",
        "<!-- a",
        "<p\u{a0}class='a'>a</p>",
        "<é>a</é>",
    ] {
        assert_eq!(judged(inside), Some("txt-1"), "{inside}");
    }
    for whole in
        ["", "a", "<p>a</p>", "<div", "<div>", "<divx>a</divx>", "<div>a</div>b", "<div>a</div><div>b</div>", "<div/>x"]
    {
        assert_eq!(xhtml::check(whole).err().map(|fault| fault.key), Some("txt-1"), "{whole}");
    }
}

#[test]
fn a_blank_narrative_is_refused() {
    for inside in ["", " \n\t", "<p> </p>", "&#160;", "\u{a0}", "<br/>", "<!-- a -->", "<p title='a'/>"] {
        assert_eq!(judged(inside), Some("txt-2"), "{inside}");
    }
    assert_eq!(xhtml::check("<div/>").err().map(|fault| fault.key), Some("txt-2"));
}

#[test]
fn size_costs_time_in_proportion() {
    let start = std::time::Instant::now();
    let deep = format!("{}a{}", "<b>".repeat(150_000), "</b>".repeat(150_000));
    assert_eq!(judged(&deep), None);
    assert_eq!(judged(&"<b>".repeat(300_000)), Some("txt-1"));
    assert_eq!(judged(&"&".repeat(1_000_000)), Some("txt-1"));
    assert_eq!(judged(&"&lt;".repeat(250_000)), None);
    assert_eq!(judged(&format!("a{}", "<!-- -->".repeat(120_000))), None);
    assert_eq!(judged(&format!("<p title=\"{}\">a</p>", "&gt;".repeat(250_000))), None);
    assert!(start.elapsed().as_secs() < 5, "took {:?}", start.elapsed());
}
