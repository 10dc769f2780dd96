//! Every behaviour of a session over every protocol: one table, and a test for each of its cells.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod calls;
mod cancelling;
mod dialogue;
mod greeting;
mod hostile;
mod liveness;
mod net;
mod prefixed;
mod receipts;
mod reliable;
mod resume;
mod several;

use wse_codecs::{Cbor, JsonArray, JsonRpc, MessagePack, Protobuf, WsProcessor};
use wse_proto::{Negotiate, Negotiated, Pings, Protocol};

use prefixed::Prefixed;

/// What a protocol makes of a behaviour. A cell that a behaviour does not know fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// It has it.
    Yes,
    /// It has not, and says so. What happens instead is what the test is about.
    No,
    /// It says that it has, but loses it on the way.
    Lost,
}

/// The table, and the tests: a row is a behaviour, and its name that of the function that tests it. A row with
/// a cell too few or too many does not compile, nor does one of a behaviour that there is not; a behaviour
/// without a row is dead code.
macro_rules! table {
    (
        behaviour
        json_array cbor protobuf messagepack prefixed careless named json_rpc negotiated
        $([$file:ident] $($behaviour:ident
            $json:ident $cbor:ident $proto:ident $msgpack:ident $prefixed:ident
            $careless:ident $named:ident $rpc:ident $negotiated:ident)+)+
    ) => {
        const TABLE: &[(&str, [Cell; PROTOCOLS])] = &[$($((stringify!($behaviour), [
            Cell::$json, Cell::$cbor, Cell::$proto, Cell::$msgpack, Cell::$prefixed,
            Cell::$careless, Cell::$named, Cell::$rpc, Cell::$negotiated,
        ])),+),+];

        $($(mod $behaviour {
            use super::{Cell, $file::$behaviour as test, protocols};

            table!(@ json_array $json);
            table!(@ cbor $cbor);
            table!(@ protobuf $proto);
            table!(@ messagepack $msgpack);
            table!(@ prefixed $prefixed);
            table!(@ careless $careless);
            table!(@ named $named);
            table!(@ json_rpc $rpc);
            table!(@ negotiated $negotiated);
        })+)+
    };
    (@ $protocol:ident $cell:ident) => {
        #[tokio::test(start_paused = true)]
        async fn $protocol() {
            crate::support::endpoints::within(test(protocols::$protocol(), Cell::$cell)).await;
        }
    };
}

const PROTOCOLS: usize = 9;

/// The columns. `prefixed` is a format of the user's own that has no receipts and says so; `careless` is the same
/// without a word about its abilities.
mod protocols {
    use super::*;

    pub fn json_array() -> JsonArray {
        JsonArray
    }
    pub fn cbor() -> Cbor {
        Cbor
    }
    pub fn protobuf() -> Protobuf {
        Protobuf
    }
    pub fn messagepack() -> MessagePack {
        MessagePack
    }
    pub fn prefixed() -> Prefixed {
        Prefixed::new()
    }
    pub fn careless() -> Prefixed {
        Prefixed::careless()
    }
    pub fn named() -> WsProcessor {
        WsProcessor::named()
    }
    pub fn json_rpc() -> JsonRpc {
        JsonRpc::default()
    }
    pub type All = Negotiated<(MessagePack, JsonArray, Cbor, Protobuf, Prefixed, JsonRpc)>;
    pub fn negotiated() -> All {
        Negotiated::new((MessagePack, JsonArray, Cbor, Protobuf, Prefixed::new(), JsonRpc::new()))
    }
}

table! {
    behaviour                              json_array cbor protobuf messagepack prefixed careless named json_rpc negotiated
  [greeting]
    identity_and_meta                      Yes        Yes  Yes      Yes         Yes      Yes      No    No       Yes
    challenge                              Yes        Yes  Yes      Yes         Yes      Yes      No    No       Yes
    welcome                                Yes        Yes  Yes      Yes         Yes      Yes      No    No       Yes
    refusal_before_the_client_is_ready     Yes        Yes  Yes      Yes         Yes      Yes      No    No       Yes
    strangers_may_say_much                 No         No   No       No          No       No       Yes   Yes      No
  [dialogue]
    messages                               Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    broadcasts                             Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    rooms                                  Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    unreadable_is_complained_about         No         No   No       No          No       No       Yes   Yes      No
    pings_of_its_own                       Yes        Yes  Yes      Yes         Yes      Yes      Yes   No       Yes
  [calls]
    calls_both_ways_at_once                Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    a_handler_calls_back                   Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    fault_with_details                     Yes        Yes  Yes      Yes         Yes      Yes      No    Yes      Yes
    unknown_procedure                      Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    payload_of_a_wrong_type                Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    call_timeout_and_late_answer           Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    disconnect_fails_calls                 Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
  [cancelling]
    deadline_reaches_the_handler           Yes        Yes  Yes      Yes         No       No       No    No       Yes
    dropped_call_cancels_its_handler       Yes        Yes  Yes      Yes         Yes      Yes      No    No       Yes
    disconnect_cancels_tokens              Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    cancel_handlers_drops_them             Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
  [receipts]
    receipt_of_a_message                   Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    receipt_that_does_not_come             Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    receipt_of_a_call                      Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    receipt_of_a_call_too_late             Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    status_codes_of_a_call                 Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
  [answers]
    receipt_of_a_reply                     Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    receipt_of_a_fault                     Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
  [reliable]
    delivered_to_devices                   Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    send_reliable_over_a_reconnect         Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    user_send_reliable_over_a_reconnect    Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    acked_by_each_device_is_handled        Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    duplicates_are_counted                 Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
  [resume]
    resumed_without_a_loss                 Yes        Yes  Yes      Yes         No       No       No    No       Yes
    resume_with_a_gap                      Yes        Yes  Yes      Yes         No       No       No    No       Yes
    resume_after_the_window                Yes        Yes  Yes      Yes         No       No       No    No       Yes
    rooms_over_a_resume                    Yes        Yes  Yes      Yes         No       No       No    No       Yes
    drain_of_clients_with_resume           Yes        Yes  Yes      Yes         No       No       No    No       Yes
    resume_and_credentials_that_expire     Yes        Yes  Yes      Yes         No       No       No    No       Yes
  [liveness]
    heartbeat_by_its_own_pings             No         No   No       No          No       No       Yes   No       No
    silent_client_is_dropped               Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    silent_server_is_dropped               Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    late_and_live                          Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
    peer_that_must_wait_is_not_dead        Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
  [hostile]
    receipts_for_nothing                   Yes        Yes  Yes      Yes         No       Lost     Yes   No       Yes
    pongs_for_nothing                      Yes        Yes  Yes      Yes         Yes      Yes      Yes   No       Yes
    bombs                                  Yes        Yes  Yes      Yes         Yes      Yes      Yes   Yes      Yes
}

/// The cells that follow from what a protocol says about itself are as it says.
#[test]
fn the_table_says_what_the_protocols_say() {
    fn says<P: Negotiate>(column: usize, protocol: P) {
        // As a connection would: after its negotiation.
        let protocol = protocol.select(&protocol.subprotocols()).unwrap();
        let can = protocol.info().can();
        let (receipts, pings, complaints) =
            (can.has_receipts(), can.has_pings(), can.has_error_reports());
        let greets = protocol.info().has_greeting();
        for (row, cells) in TABLE {
            let expected = match *row {
                "identity_and_meta" | "challenge" | "welcome" => greets,
                "refusal_before_the_client_is_ready" => greets,
                "strangers_may_say_much" => !greets,
                "unreadable_is_complained_about" => complaints,
                "pings_of_its_own" | "pongs_for_nothing" => pings != Pings::Never,
                "heartbeat_by_its_own_pings" => pings == Pings::Always,
                "status_codes_of_a_call" | "delivered_to_devices" => receipts,
                "duplicates_are_counted" | "acked_by_each_device_is_handled" => receipts,
                row if row.contains("resume") => can.has_resume(),
                row if row.contains("receipt") || row.contains("reliable") => receipts,
                // Nothing tells but the messages themselves.
                "fault_with_details" => continue,
                "deadline_reaches_the_handler" | "dropped_call_cancels_its_handler" => continue,
                // Whatever the protocol.
                _ => true,
            };
            assert_eq!(
                cells[column] != Cell::No,
                expected,
                "{row} of {:?}",
                protocol.info().name()
            );
        }
    }
    says(0, protocols::json_array());
    says(1, protocols::cbor());
    says(2, protocols::protobuf());
    says(3, protocols::messagepack());
    says(4, protocols::prefixed());
    says(5, protocols::careless());
    says(6, protocols::named());
    says(7, protocols::json_rpc());
    says(8, protocols::negotiated());
    for (row, cells) in TABLE {
        let lost: Vec<_> = (0..PROTOCOLS).filter(|column| cells[*column] == Cell::Lost).collect();
        assert!(lost.is_empty() || lost == [5], "only the careless one loses: {row}");
    }
}
