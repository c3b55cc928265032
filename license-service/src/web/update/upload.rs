//! A file that an administrator sends.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, Request};
use licensor_web::{
    form,
    refusal::Refusal,
    session::Person,
    visitor::{Administrator, Visitor},
};

use crate::web::Shown;

/// Octets of a file with an entitlement at most.
const LARGEST: usize = 2 << 20;
/// Octets that are read and thrown away of what is larger, so that a browser hears the answer.
const THROWN_AWAY: usize = 128 << 20;

/// A file that an administrator has sent.
pub(super) struct Upload {
    pub(super) visitor: Arc<Visitor>,
    pub(super) person: Person,
    /// `None` if it is too large.
    pub(super) file: Option<Vec<u8>>,
    pub(super) name: String,
}

impl Upload {
    /// Reads the form with the file.
    ///
    /// # Errors
    /// [`Refusal`] if it is none of this session, or not complete.
    pub(super) async fn read(request: Request) -> Shown<Self> {
        let (mut parts, body) = request.into_parts();
        let Administrator { visitor, person } = Administrator::from_request_parts(&mut parts, &()).await?;
        form::check_site(&visitor.screen, &parts.headers)?;
        let mut request = Request::from_parts(parts, body);
        DefaultBodyLimit::max(THROWN_AWAY).apply(&mut request);
        let incomplete = |_| Refusal::FormInvalid("refused-form-invalid");
        let mut form = Multipart::from_request(request, &()).await.map_err(|_| Refusal::FormForged)?;
        let (mut token, mut file, mut name, mut length) = (String::new(), Vec::new(), String::new(), 0);
        while let Some(mut field) = form.next_field().await.map_err(|_| Refusal::TooLarge)? {
            if field.name() == Some(form::TOKEN) {
                while let Some(chunk) = field.chunk().await.map_err(incomplete)? {
                    token.push_str(std::str::from_utf8(&chunk).map_err(|_| Refusal::FormForged)?);
                    if token.len() > 1024 {
                        return Err(Refusal::FormForged);
                    }
                }
                continue;
            }
            if length > 0 {
                return Err(Refusal::FormInvalid("refused-form-invalid"));
            }
            name =
                field.file_name().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
            // A stranger's file is not read to its end.
            let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
            form::check(session, &token)?;
            while let Some(chunk) = field.chunk().await.map_err(|_| Refusal::TooLarge)? {
                length += chunk.len();
                if length <= LARGEST {
                    file.extend_from_slice(&chunk);
                }
            }
        }
        let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
        form::check(session, &token)?;
        let file = (length <= LARGEST).then_some(file);
        Ok(Self { visitor, person, file, name })
    }
}
