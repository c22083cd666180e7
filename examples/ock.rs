use hsmsign::{
    algorithm::MacAlgorithm,
    secret::*,
    token::{pkcs11::*, *},
};
use std::sync::Arc;
struct P;
impl PinProvider for P {
    fn pin(&self, _: &PinRequest) -> hsmsign::error::Result<Secret> {
        Secret::take(&mut b"47114711".to_vec())
    }
    fn refused(&self, _: Option<u32>) {}
    fn describe(&self) -> String {
        "x".into()
    }
}
fn main() {
    let s = Settings {
        module: "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0".into(),
        label: Some("perf".into()),
        lock_file: "/tmp/perf/lock".into(),
        ..Default::default()
    };
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "init" {
        let p = |t: &str| Secret::take(&mut t.as_bytes().to_vec()).unwrap();
        initialise(&s, "perf", &p("87654321"), &p("47114711")).unwrap();
        let t = Pkcs11Token::open(s, Arc::new(P)).unwrap();
        let k = BlockKey::new(MacAlgorithm::HmacSha256, &p("secret")).unwrap();
        let m = KeyMeta {
            id: ObjectId::random().unwrap(),
            label: "x".into(),
        };
        let i = t.import_mac(&k, &m).unwrap();
        eprintln!("{:?}", i);
        println!("{}", m.id);
        return;
    }
    let t = Pkcs11Token::open(s, Arc::new(P)).unwrap();
    let id: ObjectId = a[1].clone().try_into().unwrap();
    println!(
        "{:02x}",
        t.mac(
            &KeyRef::Object {
                class: Class::Mac,
                id
            },
            MacAlgorithm::HmacSha256,
            b"message"
        )
        .unwrap()
        .as_bytes()[0]
    );
    if a.len() > 2 {
        let n: u32 = a[2].parse().unwrap();
        let id: ObjectId = a[1].clone().try_into().unwrap();
        let k = KeyRef::Object {
            class: Class::Mac,
            id,
        };
        let t0 = std::time::Instant::now();
        for _ in 0..n {
            t.mac(&k, MacAlgorithm::HmacSha256, &[7; 200]).unwrap();
        }
        eprintln!("{:?} a mac; {:?}", t0.elapsed() / n, t.capabilities());
        let t0 = std::time::Instant::now();
        eprintln!("{:?} {:?}", t.probe_deeply(), t0.elapsed());
        std::mem::forget(t);
    }
}
