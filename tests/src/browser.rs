//! A browser as the pages of an authorization server meet it: cookies kept by hand, forms read from the page and sent as a
//! browser would send them.

use std::collections::BTreeMap;

use reqwest::{Method, Url};
use vitals_fhir::search::{form_pairs, form_text};

use crate::{Answer, Tenant, tenant::client};

/// A browser at the pages of one tenant.
#[derive(Clone)]
pub struct Browser {
    /// The server's origin.
    pub origin: String,
    /// The pages' address, without a slash at the end.
    pub pages: String,
    /// The cookies it holds.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser that was never here.
    pub fn at(tenant: &Tenant) -> Self {
        Self {
            origin: tenant.server.url.clone(),
            pages: format!("{}/t/{}/auth", tenant.server.url, tenant.name),
            cookies: BTreeMap::new(),
        }
    }

    /// Opens an address below the pages.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.open(&format!("{}/{path}", self.pages)).await
    }

    /// Opens an address.
    pub async fn open(&mut self, url: &str) -> Answer {
        let request = client().request(Method::GET, url).header("cookie", self.cookie_line());
        self.took(Answer::of(request).await)
    }

    /// Sends a form, as a page of this site would.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.form(path, form).header("origin", &self.origin).header("sec-fetch-site", "same-origin");
        self.took(Answer::of(request).await)
    }

    /// A form about to be sent, which says nothing of where it comes from.
    pub fn form(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let pairs: Vec<(String, String)> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        client()
            .request(Method::POST, format!("{}/{path}", self.pages))
            .header("cookie", self.cookie_line())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form_text(&pairs))
    }

    /// Sends what a page holds in its hidden fields, and what somebody typed.
    pub async fn submit(&mut self, page: &Answer, path: &str, typed: &[(&str, &str)]) -> Answer {
        let hidden: Vec<(String, String)> =
            ["form", "onward"].iter().filter_map(|name| Some(((*name).to_owned(), field(page, name)?))).collect();
        let all: Vec<(&str, &str)> = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !typed.iter().any(|(typed, _)| typed == name))
            .chain(typed.iter().copied())
            .collect();
        self.post(path, &all).await
    }

    /// Follows redirects while they stay here.
    pub async fn follow(&mut self, mut answer: Answer) -> Answer {
        while answer.status == 303 && answer.header("location").starts_with(&self.pages) {
            let location = answer.header("location").to_owned();
            answer = self.open(&location).await;
        }
        answer
    }

    /// Signs in on the page that asks for it, and goes on.
    pub async fn sign_in(&mut self, page: &Answer, username: &str, password: &str) -> Answer {
        let answer = self.submit(page, "sign-in", &[("username", username), ("password", password)]).await;
        self.follow(answer).await
    }

    /// Says yes on a page of consent, with every box ticked.
    pub async fn allow(&mut self, page: &Answer) -> Answer {
        let ticks = ticks(page);
        let mut typed = vec![("decision", "allow")];
        typed.extend(ticks.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.submit(page, "consent", &typed).await
    }

    fn cookie_line(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn took(&mut self, answer: Answer) -> Answer {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a cookie is text");
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// The value of a hidden field of a page.
pub fn field(page: &Answer, name: &str) -> Option<String> {
    let (_, rest) = page.body.split_once(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
    Some(unescaped(rest.split('"').next()?))
}

/// Names and values of the tick boxes of a page.
pub fn ticks(page: &Answer) -> Vec<(String, String)> {
    page.body
        .split("type=\"checkbox\" name=\"")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"")?;
            Some((name.to_owned(), unescaped(rest.split('"').next()?)))
        })
        .collect()
}

/// The parameters of an app's address that an answer leads to.
pub fn returned(answer: &Answer) -> BTreeMap<String, String> {
    let url = Url::parse(answer.expect_redirect()).expect("a URL");
    form_pairs(url.query().unwrap_or_default()).expect("parameters").into_iter().collect()
}

/// A text as people read it.
pub fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}
