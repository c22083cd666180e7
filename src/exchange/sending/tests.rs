use super::*;

const HEAD: &str = r#"
id = "x"
name = "X"
hosts = ["api.x.com", "futures.x.com"]
key = { algorithm = "hmac-sha256", secret = "ascii", encoding = "hex" }
signature = { message = "{path}" }
withdrawal.paths = ["/Withdraw*"]
[send]
"#;

fn read(lines: &str) -> Result<Sending> {
    crate::exchange::Scheme::parse(&format!("{HEAD}{lines}"), "x").map(|scheme| scheme.sending().clone())
}

fn sending(lines: &str) -> Sending {
    read(lines).unwrap()
}

#[test]
fn a_get_only_reads_unless_it_acts_and_a_post_only_where_the_file_says_so() {
    let sending = sending("read-only = [\"/Balance\", \"/Query*\"]\nacting = [\"/buy*\", \"/Q*\"]");
    for (method, path, reads) in [
        ("GET", "/orders", true),
        ("GET", "/buylimit", false),
        ("GET", "/Quit", false),
        ("GET", "/QueryOrders", true),
        ("POST", "/Balance", true),
        ("POST", "/QueryOrders", true),
        ("POST", "/balance", false),
        ("POST", "/Balances", false),
        ("POST", "/AddOrder", false),
        ("DELETE", "/Balance", false),
        ("PUT", "/Balance", false),
        ("PATCH", "/Balance", false),
    ] {
        assert_eq!(sending.only_reads(method, path), reads, "{method} {path}");
    }
}

#[test]
fn an_answer_is_an_error_by_the_rule_of_its_field() {
    let cases = [
        (
            "{ field = \"error\", when = \"non-empty\" }",
            r#"{"error":["EOrder:x","EGeneral:y"]}"#,
            Some("EOrder:x, EGeneral:y"),
        ),
        (
            "{ field = \"error\", when = \"non-empty\" }",
            r#"{"error":[],"result":{}}"#,
            None,
        ),
        (
            "{ field = \"error\", when = \"non-empty\" }",
            r#"{"result":{}}"#,
            None,
        ),
        (
            "{ field = \"error\", when = \"non-empty\" }",
            r#"{"error":{"code":1}}"#,
            Some(r#"{"code":1}"#),
        ),
        (
            "{ field = \"retCode\", not = [\"0\"], text = \"retMsg\" }",
            r#"{"retCode":10001,"retMsg":"bad"}"#,
            Some("bad (10001)"),
        ),
        (
            "{ field = \"retCode\", not = [\"0\"], text = \"retMsg\" }",
            r#"{"retCode":0,"retMsg":"OK"}"#,
            None,
        ),
        (
            "{ field = \"retCode\", not = [\"0\"] }",
            r#"{"retCode":"0"}"#,
            None,
        ),
        (
            "{ field = \"success\", is = [\"false\"] }",
            r#"{"success":false}"#,
            Some("false"),
        ),
        (
            "{ field = \"success\", is = [\"false\"] }",
            r#"{"success":true}"#,
            None,
        ),
        (
            "{ field = \"0\", is = [\"error\"], text = \"2\" }",
            r#"["error",10020,"limit: invalid"]"#,
            Some("limit: invalid (error)"),
        ),
        (
            "{ field = \"0\", is = [\"error\"], text = \"2\" }",
            r#"[[1,2]]"#,
            None,
        ),
        (
            "{ field = \"a.1.b\", not = [\"x\"] }",
            r#"{"a":[0,{"b":"y"}]}"#,
            Some("y"),
        ),
        (
            "{ field = \"*.code\", when = \"negative\", text = \"*.msg\" }",
            r#"[{"code":1,"msg":"fine"},{"code":-2,"msg":"bad"}]"#,
            Some("bad (-2)"),
        ),
        (
            "{ field = \"result.orders.*.error\", when = \"non-empty\" }",
            r#"{"result":{"orders":[{"txid":"1"},{"error":"EOrder:x"}]}}"#,
            Some("EOrder:x"),
        ),
        (
            "{ field = \"code\", when = \"negative\" }",
            r#"{"code":"200"}"#,
            None,
        ),
        (
            "[{ field = \"a\", is = [\"1\"] }, { field = \"b\", is = [\"2\"] }]",
            r#"{"a":0,"b":2}"#,
            Some("2"),
        ),
    ];
    for (rule, answer, wanted) in cases {
        let found = sending(&format!("error = {rule}")).error(&Json::parse(answer).unwrap());
        assert_eq!(found.as_deref(), wanted, "{rule} on {answer}");
    }
}

#[test]
fn clock_and_nonce_errors_are_found_in_any_case_of_letters() {
    let sending = sending("clock-errors = [\"Ahead of\", \"-1021\"]\nnonce-errors = [\"Invalid Nonce\"]");
    assert!(sending.is_clock_error(r#"{"code":-1021,"msg":"x"}"#));
    assert!(sending.is_clock_error("time is ahead of ours"));
    assert!(!sending.is_clock_error("Insufficient funds"));
    assert!(sending.is_nonce_error("EAPI:invalid nonce"));
    assert!(!sending.is_nonce_error("ahead of"));
}

#[test]
fn times_are_read_in_every_unit() {
    for (unit, text, millis) in [
        ("s", "1700000000", Some((1_700_000_000_000, 1000))),
        ("s", "1700000000.5", Some((1_700_000_000_500, 0))),
        ("s", "1700000000.123456", Some((1_700_000_000_123, 0))),
        ("ms", "1700000000123", Some((1_700_000_000_123, 0))),
        ("us", "1700000000123456", Some((1_700_000_000_123, 0))),
        ("ns", "1700000000123456789", Some((1_700_000_000_123, 0))),
        ("iso", "2023-11-14T22:13:20.123Z", Some((1_700_000_000_123, 0))),
        ("iso", "2023-11-14T22:13:20Z", Some((1_700_000_000_000, 1000))),
        ("iso", "2023-11-14T22:13:20", None),
        ("ms", "", None),
        ("ms", "-1", None),
        ("ms", "1e9", None),
        ("ms", "99999999999999999999999999999999999999999", None),
    ] {
        let sending = sending(&format!(
            "time = {{ path = \"/t\", field = \"x\", unit = \"{unit}\" }}"
        ));
        let (_, unit) = sending.time("/").unwrap().field.clone().unwrap();
        assert_eq!(unit.millis(text), millis, "{text}");
    }
}

#[test]
fn the_time_source_is_the_first_that_is_for_the_path() {
    let sending = sending(
        "time = [{ path = \"/fapi/time\", field = \"t\", unit = \"ms\", for = \"/fapi/*\" }, { path = \"/time\" }]",
    );
    assert_eq!(sending.time("/fapi/v1/order").unwrap().path, "/fapi/time");
    let other = sending.time("/api/v3/order").unwrap();
    assert_eq!((other.path.as_str(), &other.field), ("/time", &None));
    assert!(super::Sending::default().time("/").is_none());
}

#[test]
fn what_a_file_says_wrong_is_named() {
    for (lines, words) in [
        ("tiem = 1", "unknown field `tiem`"),
        (
            "time = { path = \"t\" }",
            "send: time: the path \"t\" cannot be asked for",
        ),
        (
            "time = { path = \"/t\", unit = \"ms\" }",
            "one of `field` and `unit`",
        ),
        (
            "time = { path = \"/t\", field = \"x\", unit = \"h\" }",
            "no unit \"h\"",
        ),
        (
            "time = { path = \"/t\", field = \"x..y\", unit = \"s\" }",
            "empty name",
        ),
        ("time = { path = \"/t\", for = \"fapi\" }", "`for` is \"fapi\""),
        ("time = { pth = \"/t\" }", "time: unknown field `pth`"),
        ("time = 5", "time: invalid type"),
        ("error = { field = \"e\" }", "one of `when`, `is` and `not`"),
        (
            "error = { field = \"e\", when = \"empty\" }",
            "`when` cannot be \"empty\"",
        ),
        (
            "error = { field = \"e\", is = [] }",
            "one of `when`, `is` and `not`",
        ),
        (
            "error = { field = \"e\", is = [\"1\"], not = [\"2\"] }",
            "one of `when`, `is` and `not`",
        ),
        ("error = { when = \"non-empty\" }", "missing field `field`"),
        ("read-only = [\"Balance\"]", "`read-only` has \"Balance\""),
        ("read-only = [\"/withdrawstatus\"]", "moves money out"),
        ("acting = [\"buy\"]", "`acting` has \"buy\""),
        ("clock-errors = [\" \"]", "empty text"),
        ("nonce-errors = [\"\"]", "empty text"),
        (
            "testnet = { \"api.y.com\" = \"t.x.com\" }",
            "\"api.y.com\", which is not among `hosts`",
        ),
        (
            "testnet = { \"api.x.com\" = \"https://t.x.com\" }",
            "`testnet` has \"https://t.x.com\"",
        ),
        (
            "testnet = { \"api.x.com\" = \"futures.x.com\" }",
            "is the exchange itself",
        ),
        ("testnet-headers = { a = \"1\" }", "without `testnet`"),
        (
            "testnet = { \"api.x.com\" = \"t.x.com\" }\ntestnet-headers = { \"a b\" = \"1\" }",
            "cannot be a header",
        ),
    ] {
        let error = read(lines).unwrap_err();
        assert!(
            error.message().contains(words),
            "{lines} should say {words:?}: {error}"
        );
    }
    let same = "testnet = { \"api.x.com\" = \"api.x.com\" }\ntestnet-headers = { \"x-simulated\" = \"1\" }";
    assert_eq!(sending(same).testnet().len(), 1);
}
