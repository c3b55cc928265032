//! The screen without JavaScript, without a mouse, and with texts that look like something else.

use licensor_tests::{NodeOptions, scenario};
use serde_json::{Value, json};

use super::{assign, nothing, office};

#[test]
fn without_javascript_every_page_can_be_read_and_every_form_works() {
    let (_root, mut node) = office(NodeOptions::default());
    assign(&node, "anna");
    scenario(&mut node, "no_script", &[], nothing);
}

#[test]
fn everything_is_reached_with_the_keyboard() {
    let (_root, mut node) = office(NodeOptions::default());
    scenario(&mut node, "keyboard", &[], nothing);
}

#[test]
fn texts_are_shown_as_they_are() {
    let odd = |name: &str| {
        format!(
            "<script>alert('{name}')</script> <b>\"{name}\"</b> & <img src=x onerror=alert(1)> ${{{name}}}"
        )
    };
    let names = [
        "company",
        "serial",
        "title",
        "description",
        "feature",
        "user",
        "event",
        "target",
        "service",
        "newer",
    ];
    let texts: Value = names
        .iter()
        .map(|name| (name.to_string(), json!(odd(name))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let text = |name: &str| texts[name].as_str().unwrap();
    let vendor = "<i>Ex</i> \"&' ample";
    let document = |company: &str| {
        format!(
            "owner = \"Example GmbH\"\nvendor = '''{vendor}'''\ncompany = '''{company}'''\nserial_number = '''{}'''\n\
             [[modules]]\nname = \"odd\"\nquantity = 3\ntitle = '''{}'''\ndescription = '''{}'''\nfeatures = ['''{}''']\n\
             [[services]]\nname = \"odd\"\ntitle = '''{}'''\nunit = \"piece\"\nallowance = {{ base = 1, per_user = 0 }}\n\
             price = {{ minor_units = 1, currency = \"EUR\", per = 1 }}\n",
            text("serial"),
            text("title"),
            text("description"),
            text("feature"),
            text("service"),
        )
    };
    let (root, mut node) = office(NodeOptions::default());
    root.entitle(&document(text("company")));
    node.json(&["entitlement", "check"]);
    node.json(&["entitlement", "activate", "--vendor", vendor]);
    node.json(&["assignments", "add", "--vendor", vendor, "--module", "odd", "--user", text("user")]);
    let add = ["events", "add", "--kind", "maintenance", "--scope", "database"];
    node.json(&[&add[..], &["--target", text("target"), "--description", text("event")]].concat());
    root.entitle(&document(text("newer")));
    node.json(&["entitlement", "check"]);
    let month = node.json(&["usage", "show"])[0]["month"].clone();
    scenario(&mut node, "strange_text", &[], |node, what, details| match what {
        "strange texts" => json!({ "vendor": vendor, "texts": texts }),
        "month" => month.clone(),
        _ => nothing(node, what, details),
    });
}
