//! What each function makes.

use super::*;

fn apply(name: &str, arguments: &[&str]) -> String {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| Cow::Borrowed(argument.as_bytes()))
        .collect();
    String::from_utf8(Function::of(name).unwrap().apply(&arguments).unwrap()).unwrap()
}

#[test]
fn sort_goes_by_the_name_and_not_by_the_field() {
    assert_eq!(
        apply("sort", &["price2=1&price=2&a=3&a=1", "b=0"]),
        "a=3&a=1&b=0&price=2&price2=1"
    );
}

#[test]
fn when_after_and_plus() {
    assert_eq!(apply("when", &["", "?", "x"]), "");
    assert_eq!(apply("when", &["q", "?", "q"]), "?q");
    assert_eq!(
        apply("after", &["/derivatives", "/derivatives/api/v3/x"]),
        "/api/v3/x"
    );
    assert_eq!(apply("after", &["/derivatives", "/api"]), "/api");
    assert_eq!(apply("plus", &["1700000000", "120"]), "1700000120");
    assert!(
        Function::Plus
            .apply(&[Cow::Borrowed(b"x"), Cow::Borrowed(b"1")])
            .is_err()
    );
}

#[test]
fn json_becomes_fields() {
    let body = r#"{"b":[1,2],"a":"x y","c":true}"#;
    assert_eq!(apply("form", &[body, "i=o"]), "i=o&a=x%20y&b=1&b=2&c=true");
    assert_eq!(apply("form", &[r#"[{"a":1},{"a":2}]"#, "i=o"]), "i=o&a=1&i=o&a=2");
    assert_eq!(apply("form", &["", "i=o"]), "i=o");
    assert_eq!(apply("raw_form", &[body]), "a=x y&b=[1,2]&c=true");
    assert_eq!(apply("pairs", &[body]), "b=1&b=2&a=x%20y&c=true");
    assert_eq!(apply("pairs", &["x=1&y=2"]), "x=1&y=2");
    assert_eq!(apply("pairs", &[body, "&", "[]"]), "b[]=1&b[]=2&a=x%20y&c=true");
    assert_eq!(
        apply("omit", &[r#"{"a": 1.0 ,"b":{"c": 2},"d":3}"#, "a", "d"]),
        r#"{"b":{"c": 2}}"#
    );
    assert_eq!(
        apply("sorted_json", &[r#"{"b": [{"d":1.0,"c":null}], "a":"x"}"#]),
        r#"{"a":"x","b":[{"c":null,"d":1.0}]}"#
    );
    assert_eq!(apply("field", &[body, "a"]), "x y");
    assert_eq!(apply("field", &[body, "no"]), "");
    assert_eq!(
        apply("flatten", &[r#"{"b":["x",1.0],"a":{"d":1,"c":null}}"#]),
        "acnulld1bx1.0"
    );
    assert_eq!(apply("payload", &["{}"]), "e30=");
    assert_eq!(apply("payload", &["e30="]), "e30=");
}

#[test]
fn fields_are_encoded_anew_whatever_encoded_them() {
    assert_eq!(
        apply(
            "encoded_fields",
            &["t=10:20&a=x+y&b=x%20y%2bz&%61=é&c&d=1=2&&~=*"]
        ),
        "t=10%3A20&a=x%20y&b=x%20y%2Bz&a=%C3%A9&c&d=1%3D2&~=%2A"
    );
    let done = "a=x%20y&b=%C3%A9&c=";
    assert_eq!(apply("encoded_fields", &[done]), done);
}

#[test]
fn plain_fields_keep_apart_what_their_encoding_kept_apart() {
    let refused = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|text| Cow::Borrowed(text.as_bytes()))
            .collect();
        Function::PlainFields.apply(&arguments).is_err()
    };
    assert_eq!(
        apply("plain_fields", &["a=x%20y&b=%C3%A9&c=d=e&f"]),
        "a=x y&b=é&c=d=e&f"
    );
    assert_eq!(apply("plain_fields", &["a=1&b=2%3D3", ","]), "a=1,b=2=3");
    assert_eq!(apply("plain_fields", &["", ","]), "");
    for ambiguous in ["a=1%26b=2", "a%3D1=2", "a%26b=1"] {
        assert!(refused(&[ambiguous]), "{ambiguous}");
    }
    assert!(refused(&["a=1%2Cb=2", ","]));
    assert!(!refused(&["a=1%2Cb=2"]));
}

#[test]
fn digits_and_words_are_nothing_else() {
    let refused = |name: &str, text: &str| {
        let function = Function::of(name).unwrap();
        function.apply(&[Cow::Borrowed(text.as_bytes())]).is_err()
    };
    assert_eq!(apply("digits", &["0", "17"]), "017");
    assert_eq!(apply("digits", &[""]), "");
    assert_eq!(apply("word", &["spot.orders_v2", "-A"]), "spot.orders_v2-A");
    for text in ["-1", "1.0", "1 ", "１", "a"] {
        assert!(refused("digits", text), "{text}");
    }
    for text in ["a/b", "a b", "a\n", "é", "a=b", "a&b"] {
        assert!(refused("word", text), "{text}");
    }
}

#[test]
fn hashes_are_those_of_the_standards() {
    assert_eq!(
        base16ct::lower::encode_string(
            &Function::Sha256
                .apply(&[Cow::Borrowed(b"ab"), Cow::Borrowed(b"c")])
                .unwrap()
        ),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(apply("hex", &["\u{1}", "a"]), "0161");
    assert_eq!(apply("form_decode", &["a+b%2B"]), "a b+");
    assert_eq!(apply("percent_decode", &["a+b%2B"]), "a+b+");
    assert_eq!(apply("percent_encode", &["a b+~é"]), "a%20b%2B~%C3%A9");
}
