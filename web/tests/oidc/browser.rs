//! Just enough of a browser: it keeps cookies, and is led where it is told.

use std::collections::HashMap;

use bytes::Bytes;
use cookie::Cookie;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

pub(crate) struct Browser {
    pub(crate) language: &'static str,
    tls: TlsConnector,
    /// By host and port, and name.
    cookies: HashMap<(String, String), String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    url: Uri,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> String {
        let to = self.header("location");
        if to.starts_with('/') { at(&self.url, to) } else { to.to_owned() }
    }

    /// Where its first form is sent to.
    pub(crate) fn action(&self) -> String {
        let (_, rest) = self.body.split_once("action=\"").unwrap_or_else(|| panic!("no form: {self:?}"));
        let action = rest.split('"').next().unwrap();
        if action.starts_with('/') { at(&self.url, action) } else { action.to_owned() }
    }
}

fn at(url: &Uri, path: &str) -> String {
    format!("{}://{}{path}", url.scheme_str().unwrap(), url.authority().unwrap())
}

impl Browser {
    pub(crate) fn new(tls: TlsConnector) -> Self {
        Self { language: "en", tls, cookies: HashMap::new() }
    }

    /// A browser of somebody else, in the same language.
    pub(crate) fn of_somebody_else(&self) -> Self {
        Self { language: self.language, tls: self.tls.clone(), cookies: HashMap::new() }
    }

    /// A window of the same person.
    pub(crate) fn of_the_same(&self) -> Self {
        Self { cookies: self.cookies.clone(), ..self.of_somebody_else() }
    }

    pub(crate) async fn get(&mut self, url: &str) -> Answer {
        self.send("GET", url, "").await
    }

    pub(crate) async fn post(&mut self, url: &str, form: &str) -> Answer {
        self.send("POST", url, form).await
    }

    /// Follows redirects while they lead to the same host.
    pub(crate) async fn wander(&mut self, mut answer: Answer) -> Answer {
        while answer.status.is_redirection() {
            let to = answer.location();
            if to.parse::<Uri>().unwrap().authority() != answer.url.authority() {
                break;
            }
            answer = self.get(&to).await;
        }
        answer
    }

    async fn send(&mut self, method: &str, url: &str, form: &str) -> Answer {
        let url: Uri = url.parse().unwrap();
        let host = url.authority().unwrap().to_string();
        let cookies = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let cookies: Vec<String> = cookies.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(url.path_and_query().unwrap().as_str())
            .header(header::HOST, &host)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::ACCEPT, "text/html")
            .header(header::ACCEPT_LANGUAGE, self.language)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form.to_owned())))
            .unwrap();
        let stream = TcpStream::connect(&host).await.unwrap();
        let response = if url.scheme_str() == Some("https") {
            let name = ServerName::try_from(url.host().unwrap().to_owned()).unwrap();
            talk(self.tls.connect(name, stream).await.unwrap(), request).await
        } else {
            talk(stream, request).await
        };
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = Cookie::parse(line.to_str().unwrap().to_owned()).unwrap();
            let key = (host.clone(), cookie.name().to_owned());
            if cookie.value().is_empty() {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, cookie.value().to_owned());
            }
        }
        Answer { status: parts.status, headers: parts.headers, body, url }
    }
}

async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> http::Response<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    http::Response::from_parts(parts, String::from_utf8_lossy(&body).into_owned())
}
