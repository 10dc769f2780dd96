//! What peers in other languages send, through a whole server.

use crate::support::endpoints::*;
use wse::{Accept, Client, Hello, Server, memory};
use wse_codecs::{JsonArray, Protobuf};

#[tokio::test(start_paused = true)]
async fn a_whole_float_is_an_integer_and_a_stamp_comes_back_as_it_came() {
    let server: Server<_> = server(&JsonArray).build();
    let mut raw = Raw::user(&server, "ann").await;
    raw.say(r#"["add",{"a":5.0,"b":3e0},1764250000000.0]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:response",8,1764250000000.0]"#);
    raw.say(r#"["add",{"a":1,"b":2},1764250000000]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:response",3,1764250000000]"#);
}

/// A client that the server knows by a cookie has nothing to say.
#[tokio::test(start_paused = true)]
async fn an_identity_may_be_empty_in_protobuf() {
    let server: Server<_> = Server::builder(Protobuf)
        .identify(|hello: Hello<String>| async move {
            assert_eq!(hello.identity, "");
            wse::Ok(Accept::user("ann"))
        })
        .on("note", |conn, text: String| async move {
            conn.send("noted", text.as_str())?;
            wse::Ok(())
        })
        .procedure("nothing", |_conn, (): ()| async move { wse::Ok(()) })
        .build();
    let (noted, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let client = Client::builder(Protobuf, memory::URL)
        .connector(memory::connector(&server))
        .identity(String::new())
        .on("noted", move |_client, text: String| {
            let _ = noted.send(text);
            async { wse::Ok(()) }
        })
        .connect()
        .await
        .unwrap();
    client.send("note", "milk").unwrap();
    assert_eq!(heard.recv().await.unwrap(), "milk");
    let () = client.call("nothing", &()).await.unwrap();
}
