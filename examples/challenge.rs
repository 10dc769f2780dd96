//! Shows challenge-response: the client proves that it knows a secret, and does not send it. Once with the HMAC
//! helper, once with a question and an answer of the application's.
//!
//! `cargo run --example challenge` prints:
//!
//! ```text
//! hmac: the right secret is accepted
//! hmac: a guess is not: the server closed before the welcome: 1000 wse.not-authorized
//! own:  asked "6 * 7"
//! own:  accepted, Ready
//! own:  without a solver: the server sent a challenge, and the client has no solver
//! ```

use serde::{Deserialize, Serialize};
use wse::{Accept, Client, ConnectError, Hello, JsonArray, Refuse, Server, auth::hmac_answer};

const SECRET: &[u8] = b"what only ann and the server know";

#[derive(Serialize, Deserialize)]
struct Quest {
    question: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    hmac().await?;
    own_question().await
}

/// The server sends a nonce that is used once, for this connection and identity. It compares the answers in constant time.
async fn hmac() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder(JsonArray)
        .identify_with(|conn, hello: Hello<String>| async move {
            conn.challenge_hmac(&hello.identity, SECRET).await?;
            wse::Ok(Accept::user(hello.identity))
        })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;

    for secret in [SECRET, b"a guess"] {
        let client = Client::builder(JsonArray, &url).identity("ann".to_owned()).solver(
            move |quest: String| async move { wse::Ok(hmac_answer(secret, "ann", &quest)) },
        );
        match client.connect().await {
            Ok(_) => println!("hmac: the right secret is accepted"),
            Err(error) => println!("hmac: a guess is not: {error:#}"),
        }
    }
    Ok(())
}

/// Any question and any answer: the handler asks, and waits for the answer with `.await`.
async fn own_question() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder(JsonArray)
        .identify_with(|conn, hello: Hello<String>| async move {
            let quest = Quest { question: "6 * 7".to_owned() };
            let answer: i64 = conn.challenge(&quest).await?;
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
            wse::Ok(42)
        })
        .connect()
        .await?;
    println!("own:  accepted, {:?}", client.status());

    // A client that cannot solve challenges fails at once, and does not wait for the time limit.
    let without = Client::builder(JsonArray, &url).identity("bob".to_owned()).connect().await;
    assert!(matches!(without, Err(ConnectError::NoSolver)));
    println!("own:  without a solver: {}", ConnectError::NoSolver);
    Ok(())
}
