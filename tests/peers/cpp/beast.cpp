// Boost.Beast as an echo server, and as a client against our echo server:
//
//     beast server
//     beast client URL RAISED DEFLATE
//
// RAISED is the URL of a server that takes 5 MiB, DEFLATE that of one that compresses. A client prints one line for each check: `ok
// NAME`, a note behind it, or `failed NAME: CAUSE`. Messages go in frames of 4 KiB, as Beast splits them by default.

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::asio::ip::tcp;
using Socket = websocket::stream<tcp::socket>;

constexpr std::size_t MIB = 1 << 20;
const std::string TEXT = "grüße 😀 ";

websocket::permessage_deflate deflate() {
    websocket::permessage_deflate options;
    options.server_enable = true;
    options.client_enable = true;
    return options;
}

/// Sends a text byte by byte, each in a frame.
void split(Socket& ws, const std::string& text) {
    ws.text(true);
    for (std::size_t n = 0; n < text.size(); n++)
        ws.write_some(n + 1 == text.size(), boost::asio::buffer(&text[n], 1));
}

void session(tcp::socket socket) {
    Socket ws(std::move(socket));
    ws.set_option(deflate());
    ws.read_message_max(6 * MIB);
    beast::error_code error;
    ws.accept(error);
    while (!error) {
        beast::flat_buffer buffer;
        ws.read(buffer, error);
        if (error) return;
        auto message = beast::buffers_to_string(buffer.data());
        if (ws.got_text() && message == "close") {
            ws.close(websocket::close_reason(websocket::close_code(4001), "bye"), error);
            return;
        }
        ws.text(ws.got_text());
        ws.write(buffer.data(), error);
    }
}

int serve() {
    boost::asio::io_context io;
    tcp::acceptor acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    std::cout << "listening on ws://" << acceptor.local_endpoint() << std::endl;
    for (;;) std::thread(session, acceptor.accept()).detach();
}

void ensure(bool right, const std::string& what) {
    if (!right) throw std::runtime_error(what);
}

struct Client {
    boost::asio::io_context io;
    Socket ws{io};
    websocket::response_type response;

    explicit Client(const std::string& url, bool compress = false) {
        auto address = url.substr(url.find("//") + 2);
        auto colon = address.find(':');
        auto ip = boost::asio::ip::make_address(address.substr(0, colon));
        auto port = static_cast<unsigned short>(std::stoi(address.substr(colon + 1)));
        ws.next_layer().connect({ip, port});
        timeval limit{15, 0};
        setsockopt(ws.next_layer().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (compress) ws.set_option(deflate());
        ws.read_message_max(6 * MIB);
        ws.handshake(response, address, "/");
    }

    void send(const std::string& message, bool text) {
        ws.text(text);
        ws.write(boost::asio::buffer(message));
    }

    void comes(const std::string& message, bool text) {
        beast::flat_buffer buffer;
        ws.read(buffer);
        ensure(ws.got_text() == text && beast::buffers_to_string(buffer.data()) == message, "another message came");
    }

    void echo(const std::string& message, bool text) {
        send(message, text);
        comes(message, text);
    }

    void closed(int code, const std::string& reason) {
        beast::flat_buffer buffer;
        beast::error_code error;
        ws.read(buffer, error);
        auto found = ws.reason();
        std::string said(found.reason.data(), found.reason.size());
        ensure(error == websocket::error::closed && found.code == code && said.rfind(reason, 0) == 0,
               error.message() + ", closed with " + std::to_string(found.code) + " " + said);
    }
};

std::string check(const std::string& name, const std::string& url, const std::string& raised,
                  const std::string& compressing) {
    if (name == "sizes") {
        Client client(url);
        for (std::size_t size : {0, 1, 125, 126, 65535, 65536}) {
            client.echo(std::string(size, '\7'), false);
            client.echo(std::string(size, 'x'), true);
        }
        std::string text;
        for (int n = 0; n < 1000; n++) text += TEXT;
        client.echo(text, true);
        return "";
    }
    if (name == "1MiB") {
        Client(url).echo(std::string(MIB, '\7'), false);
        return "in frames of 4 KiB";
    }
    if (name == "+1") {
        Client client(url);
        client.ws.auto_fragment(false);
        client.send(std::string(MIB + 1, '\7'), false);
        client.closed(1009, "message over 1048576 bytes");
        return "1009";
    }
    if (name == "5MiB") {
        Client(raised).echo(std::string(5 * MIB, '\7'), false);
        return "in frames of 4 KiB";
    }
    if (name == "ping") {
        Client client(url);
        bool pong = false;
        client.ws.control_callback([&](websocket::frame_type kind, beast::string_view payload) {
            pong |= kind == websocket::frame_type::pong && payload == "are you there?";
        });
        client.ws.ping("are you there?");
        // The pong is sent when nothing else waits to be written.
        client.echo("x", true);
        client.echo("y", true);
        ensure(pong, "no pong came");
        return "";
    }
    if (name == "theirs") {
        Client client(url);
        client.ws.close(websocket::close_reason(websocket::close_code(4002), "done"));
        ensure(client.ws.reason().code == 4002, "closed with " + std::to_string(client.ws.reason().code));
        return "4002";
    }
    if (name == "ours") {
        Client client(url);
        client.send("close", true);
        client.closed(4001, "bye");
        return "4001";
    }
    if (name == "deflate") {
        Client client(compressing, true);
        std::string agreed(client.response[beast::http::field::sec_websocket_extensions]);
        ensure(!agreed.empty(), "compression was not agreed on");
        std::string text;
        for (int n = 0; n < 10000; n++) text += TEXT;
        for (const auto& message : {std::string(), std::string("x"), text, std::string(), text}) client.echo(message, true);
        agreed.erase(0, agreed.find(';') == std::string::npos ? agreed.size() : agreed.find(';') + 2);
        return agreed;
    }
    Client client(url);
    client.send("split", true);
    client.comes("é", true);
    split(client.ws, TEXT);
    client.comes(TEXT, true);
    return "both ways";
}

int main(int count, char** arguments) {
    std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "version") {
        std::cout << BOOST_LIB_VERSION << std::endl;
        return 0;
    }
    if (mode == "server") return serve();
    int failed = 0;
    for (std::string name : {"sizes", "1MiB", "+1", "5MiB", "ping", "theirs", "ours", "deflate", "split"}) {
        try {
            auto note = check(name, arguments[2], arguments[3], arguments[4]);
            std::cout << "ok " << name << (note.empty() ? "" : " ") << note << std::endl;
        } catch (const std::exception& error) {
            failed = 1;
            std::cout << "failed " << name << ": " << error.what() << std::endl;
        }
    }
    return failed;
}
