//! Certificates as OpenSSL reads them.

use std::{collections::BTreeMap, path::Path, process::Command};

use crate::{command::run, tool};

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Shown {
    /// `Version: 3 (0x2)` and so on, as OpenSSL prints the lines before the extensions, without indentation.
    pub lines: Vec<String>,
    /// Name of each extension, ` critical` at its end if it is; and its lines.
    pub extensions: BTreeMap<String, Vec<String>>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// Lower-case hexadecimal.
    pub serial: String,
}

impl Shown {
    /// Reads a certificate (PEM) with OpenSSL.
    pub fn read(path: &Path) -> Self {
        let openssl = |arguments: &[&str]| {
            run(Command::new(tool("openssl")).args(["x509", "-noout", "-in"]).arg(path).args(arguments)).ok()
        };
        let text = openssl(&["-text"]);
        let (head, tail) = text.split_once("X509v3 extensions:\n").unwrap_or((&text, ""));
        let mut extensions = BTreeMap::<String, Vec<String>>::new();
        let mut name = String::new();
        for line in tail.lines().take_while(|line| line.starts_with("            ")) {
            if line.starts_with("             ") {
                extensions.get_mut(&name).unwrap().push(line.trim().to_owned());
            } else {
                name = line.trim().trim_end_matches(':').replace(": critical", " critical");
                assert!(extensions.insert(name.clone(), Vec::new()).is_none(), "{name} stands there twice");
            }
        }
        let dates = openssl(&["-dates"]);
        let date = |name: &str| {
            let line = dates.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            run(Command::new(tool("date")).args(["-u", "+%s", "-d", line])).ok().trim().parse().unwrap()
        };
        let serial = openssl(&["-serial"]).trim().trim_start_matches("serial=").to_lowercase();
        Self {
            lines: head.lines().map(|line| line.trim().to_owned()).collect(),
            extensions,
            not_before: date("notBefore="),
            not_after: date("notAfter="),
            serial,
        }
    }

    /// The lines of an extension, joined; ` critical` at the end of its name if it has to be.
    pub fn extension(&self, name: &str) -> String {
        let lines = self.extensions.get(name).unwrap_or_else(|| panic!("no `{name}` in {self:?}"));
        lines.join("\n")
    }

    /// The rest of the line that begins with this.
    pub fn line(&self, start: &str) -> &str {
        let line = self.lines.iter().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no `{start}` in {self:?}")).trim()
    }
}
