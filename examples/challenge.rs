//! Challenge-response: the client proves that it knows a secret without sending it. Once with the
//! HMAC helper, once with a quest and an answer of our own.
//!
//! `cargo run --example challenge`

use serde::{Deserialize, Serialize};
use wse_codecs::JsonArray;
use wse_transport::auth::hmac_answer;
use wse_transport::{Accept, Client, ConnectError, Hello, Refuse, Server};

const SECRET: &[u8] = b"what only ann and the server know";

#[derive(Serialize, Deserialize)]
struct Quest {
    question: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    hmac().await?;
    of_our_own().await
}

/// A nonce that is used once, for this connection and identity, compared in constant time.
async fn hmac() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder(JsonArray)
        .identify(|stranger, hello: Hello<String>| async move {
            stranger.challenge_hmac(&hello.identity, SECRET).await?;
            Ok(Accept::user(hello.identity))
        })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;

    for secret in [SECRET, b"a guess"] {
        let client = Client::builder(JsonArray, &url)
            .identity("ann".to_owned())
            .solver(move |quest: String| async move { Ok(hmac_answer(secret, "ann", &quest)) });
        match client.connect().await {
            Ok(_) => println!("hmac: the right secret is let in"),
            Err(error) => println!("hmac: a guess is not: {error}"),
        }
    }
    Ok(())
}

/// Any quest and any answer: `identify` asks, and waits for the answer where it stands.
async fn of_our_own() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder(JsonArray)
        .identify(|stranger, hello: Hello<String>| async move {
            let quest = Quest { question: "6 * 7".to_owned() };
            let answer: i64 = stranger.challenge(&quest).await?;
            if answer == 42 {
                Ok(Accept::user(hello.identity))
            } else {
                Err(Refuse::not_authorized())
            }
        })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;

    let client = Client::builder(JsonArray, &url)
        .identity("ann".to_owned())
        .solver(|Quest { question }| async move {
            println!("own:  asked {question:?}");
            Ok(42)
        })
        .connect()
        .await?;
    println!("own:  let in, {:?}", client.status());

    // A client that cannot solve challenges fails at once, instead of waiting for ever.
    let without = Client::builder(JsonArray, &url).identity("bob".to_owned()).connect().await;
    assert!(matches!(without, Err(ConnectError::NoSolver)));
    println!("own:  without a solver: {}", ConnectError::NoSolver);
    Ok(())
}
