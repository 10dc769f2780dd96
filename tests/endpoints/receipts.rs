//! Receipts of clients that give some, and of clients of the JavaScript package wse, which take a message with a stamp for a
//! call.

use crate::support::endpoints::*;
use wse::{Call, CallOptions, GaveUp, ReceiptError, Reliable, Server};
use wse_codecs::JsonArray;

fn receipts() -> Server<JsonArray> {
    server(&JsonArray)
        .connections_per_user(3)
        .procedure_with("confirmed", |_, call: Call<()>| async move {
            let receipt = call.want_receipt(None);
            tokio::spawn(async move {
                assert!(matches!(receipt.await, Err(ReceiptError::Unsupported)));
            });
            wse::Ok(5_i64)
        })
        .build()
}

/// A client whose greeting is that of the package.
async fn older(server: &Server<JsonArray>, greeting: &str) -> Raw {
    let mut raw = Raw::stranger(server).await;
    raw.say(greeting).await;
    assert_eq!(raw.hear().await, welcome("ann"), "{greeting}");
    settle().await;
    raw
}

#[tokio::test(start_paused = true)]
async fn nothing_that_wants_a_receipt_reaches_a_client_that_gives_none() {
    for end in [",null]", "]", ",null,0]", ",null,null]", ",null,2]", ",null,\"1\"]"] {
        let greeting = format!(r#"["~wse:hi",{{"identity":"secret of ann","meta":{{}}}}{end}"#);
        let server = receipts();
        let mut old = older(&server, &greeting).await;
        let conn = server.user("ann").connections().remove(0);
        let one = note("1");

        let (acked, took) = timed(conn.send_acked("note", &one)).await;
        assert!(matches!(acked, Err(ReceiptError::Unsupported)), "{acked:?}");
        assert_eq!(took, secs(0));
        let delivered = server.user("ann").send_acked("note", &one).await.unwrap();
        assert_eq!((delivered.received(), delivered.len()), (0, 1));
        let reliable = Reliable::default();
        let gave_up = server.user("ann").send_reliable(reliable, "note", &one).await;
        let Err(GaveUp { attempts: 0, last: Some(ReceiptError::Unsupported), .. }) = gave_up else {
            panic!("{gave_up:?}")
        };
        assert_eq!(old.hear_all().await, [] as [String; 0], "{greeting}");

        // A call is made all the same, and a message is sent.
        let options = CallOptions::default();
        let mut call = conn.call_acked::<_, i64>(options, "double", &2_i64).unwrap();
        assert!(matches!(call.receipt().await, Err(ReceiptError::Unsupported)));
        assert_eq!(old.hear().await, r#"["double",2,"1",0,20000]"#);
        old.say(r#"["~wse:response",4,"1"]"#).await;
        assert_eq!(call.result().await.unwrap(), 4);
        conn.send("note", &one).unwrap();
        assert_eq!(old.hear().await, r#"["note",{"text":"1"},null]"#);
        // Answers want none either.
        old.say(r#"["confirmed",null,"s1"]"#).await;
        assert_eq!(old.hear().await, r#"["~wse:response",5,"s1"]"#);
        // It may ask for receipts of its own.
        old.say(r#"["unknown",null,"s2",3]"#).await;
        assert_eq!(old.hear().await, r#"["~wse:receipt",null,"s2",2]"#);

        // Another device of the user that gives receipts gets the message, and only that one.
        let mut new = Raw::user(&server, "ann").await;
        settle().await;
        let ann = server.user("ann");
        let (delivered, ()) = tokio::join!(ann.send_acked("note", &one), async {
            let text = new.hear().await;
            let stamp = text.strip_prefix(r#"["note",{"text":"1"},""#).unwrap();
            let stamp = stamp.strip_suffix(r#"",3]"#).unwrap();
            new.say(&format!(r#"["~wse:receipt",null,"{stamp}",2]"#)).await;
        });
        let delivered = delivered.unwrap();
        assert_eq!((delivered.received(), delivered.len()), (1, 2));
        assert_eq!(old.hear_all().await, [] as [String; 0], "{greeting}");
    }
}
