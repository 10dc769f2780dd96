/* libwebsockets as an echo server, and as a client against our echo server:
 *
 *     libwebsockets server
 *     libwebsockets client URL RAISED DEFLATE
 *
 * RAISED is the URL of a server that takes 5 MiB, DEFLATE that of one that compresses. A client prints one line for each check: `ok
 * NAME`, a note behind it, or `failed NAME: CAUSE`. */

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIB (1 << 20)
#define TEXT "grüße 😀 "

/* A message, with the space in front that the library wants. */
struct message {
    unsigned char *buffer;
    size_t len;
    bool text;
};

static struct message message(const void *bytes, size_t len, bool text) {
    struct message it = {malloc(LWS_PRE + len + 1), len, text};
    if (bytes) memcpy(it.buffer + LWS_PRE, bytes, len);
    else memset(it.buffer + LWS_PRE, text ? 'x' : 7, len);
    return it;
}

/* A connection: what is received, and what is to be sent. */
struct session {
    unsigned char *received;
    size_t len;
    struct message waiting[64];
    int first, count;
    bool closes;
};

static void receive(struct session *it, const void *in, size_t len) {
    it->received = realloc(it->received, it->len + len + 1);
    memcpy(it->received + it->len, in, len);
    it->len += len;
}

static bool complete(struct lws *wsi) { return lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0; }

static void queue(struct session *it, struct message message) { it->waiting[(it->first + it->count++) % 64] = message; }

/* The library masks in the buffer that it gets: it gets a copy. */
static int write_message(struct lws *wsi, struct message *it) {
    struct message copy = message(it->buffer + LWS_PRE, it->len, it->text);
    int sent = lws_write(wsi, copy.buffer + LWS_PRE, copy.len, copy.text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
    free(copy.buffer);
    return sent;
}

static int server_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    struct session *it = user;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(it, 0, sizeof *it);
        break;
    case LWS_CALLBACK_RECEIVE:
        receive(it, in, len);
        if (!complete(wsi)) break;
        if (!lws_frame_is_binary(wsi) && it->len == 5 && !memcmp(it->received, "close", 5)) it->closes = true;
        else queue(it, message(it->len ? it->received : (void *)"", it->len, !lws_frame_is_binary(wsi)));
        it->len = 0;
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if (it->closes) {
            lws_close_reason(wsi, 4001, (unsigned char *)"bye", 3);
            return -1;
        }
        if (it->count > 0) {
            struct message *next = &it->waiting[it->first];
            int sent = write_message(wsi, next);
            free(next->buffer);
            it->first = (it->first + 1) % 64;
            it->count--;
            if (sent < 0) return -1;
            if (it->count > 0) lws_callback_on_writable(wsi);
        }
        break;
    case LWS_CALLBACK_CLOSED:
        free(it->received);
        break;
    default:
        break;
    }
    return 0;
}

/* The check that is running, on one connection. */
static struct {
    const char *name;
    struct message sends[16];
    int count, sent, heard, pieces;
    unsigned char *received;
    size_t len;
    bool done, pong, compressed;
    char error[200], note[200];
} run;

static void fail(const char *what) {
    if (!run.done) snprintf(run.error, sizeof run.error, "%s", what);
    run.done = true;
}

static void pass(const char *note) {
    if (!run.done) snprintf(run.note, sizeof run.note, "%s", note);
    run.done = true;
}

static bool is(const char *name) { return strcmp(run.name, name) == 0; }

/* Sends a text byte by byte, each in a frame. */
static int write_piece(struct lws *wsi) {
    struct message *it = &run.sends[run.sent];
    unsigned char piece[LWS_PRE + 1];
    piece[LWS_PRE] = it->buffer[LWS_PRE + run.pieces];
    int kind = run.pieces == 0 ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION;
    bool last = ++run.pieces == (int)it->len;
    if (!last) kind |= LWS_WRITE_NO_FIN;
    if (lws_write(wsi, piece + LWS_PRE, 1, kind) < 0) return -1;
    if (last) run.sent++;
    else lws_callback_on_writable(wsi);
    return 0;
}

static int client_write(struct lws *wsi) {
    if (is("theirs")) {
        lws_close_reason(wsi, 4002, (unsigned char *)"done", 4);
        return -1;
    }
    if (is("ping") && run.sent == 0) {
        unsigned char ping[LWS_PRE + 4];
        memcpy(ping + LWS_PRE, "ping", 4);
        run.sent++;
        if (lws_write(wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 0) return -1;
        return 0;
    }
    if (run.sent == run.count) return 0;
    if (is("split") && run.sent == 1) return write_piece(wsi);
    return write_message(wsi, &run.sends[run.sent++]) < 0 ? -1 : 0;
}

static int client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fail(in ? in : "not connected");
        break;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        run.compressed = lws_hdr_total_length(wsi, WSI_TOKEN_EXTENSIONS) > 0;
        if (is("deflate")) {
            char agreed[150] = "";
            lws_hdr_copy(wsi, agreed, sizeof agreed, WSI_TOKEN_EXTENSIONS);
            snprintf(run.note, sizeof run.note, "%s", strchr(agreed, ';') ? strchr(agreed, ';') + 2 : "");
        }
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return client_write(wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        if (len == 4 && !memcmp(in, "ping", 4)) pass("");
        return -1;
    case LWS_CALLBACK_CLIENT_RECEIVE: {
        run.received = realloc(run.received, run.len + len + 1);
        memcpy(run.received + run.len, in, len);
        run.len += len;
        if (!complete(wsi)) break;
        struct message *expected = &run.sends[run.heard++];
        struct message split = {(unsigned char *)"", 0, true};
        unsigned char e[LWS_PRE + 2] = {0};
        memcpy(e + LWS_PRE, "é", 2);
        if (is("split") && run.heard == 1) split = (struct message){e, 2, true}, expected = &split;
        bool same = run.len == expected->len && !memcmp(run.received, expected->buffer + LWS_PRE, run.len) &&
                    lws_frame_is_binary(wsi) == !expected->text;
        run.len = 0;
        if (!same) fail("another message came");
        else if (is("deflate") && !run.compressed) fail("compression was not agreed on");
        else if (run.heard == run.count) pass(is("split") ? "both ways" : run.note);
        if (run.done) return -1;
        lws_callback_on_writable(wsi);
        break;
    }
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
        const unsigned char *frame = in;
        int code = len >= 2 ? frame[0] << 8 | frame[1] : 1005;
        const char *said = (const char *)frame + 2;
        if (is("ours") && code == 4001 && len == 5 && !memcmp(said, "bye", 3)) pass("4001");
        else if (is("+1") && code == 1009 && len > 28 && !memcmp(said, "message over 1048576 bytes", 26)) pass("1009");
        else fail("closed by the server");
        break;
    }
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (is("theirs")) pass("4002");
        fail("the connection ended");
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; client_no_context_takeover"},
    {NULL, NULL, NULL},
};

static struct lws_context *context(bool server, bool compress) {
    static const struct lws_protocols serving[] = {{"echo", server_callback, sizeof(struct session), 65536, 0, NULL, 0}, {0}};
    static const struct lws_protocols judging[] = {{"echo", client_callback, 0, 65536, 0, NULL, 0}, {0}};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = server ? 0 : CONTEXT_PORT_NO_LISTEN;
    info.iface = server ? "127.0.0.1" : NULL;
    info.protocols = server ? serving : judging;
    info.extensions = compress ? extensions : NULL;
    info.gid = info.uid = -1;
    return lws_create_context(&info);
}

static void prepare(const char *name) {
    memset(&run, 0, sizeof run);
    run.name = name;
    if (is("sizes")) {
        size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
        for (int n = 0; n < 6; n++)
            for (int text = 0; text < 2; text++) run.sends[run.count++] = message(NULL, sizes[n], text);
        run.sends[run.count++] = message(TEXT TEXT TEXT, strlen(TEXT TEXT TEXT), true);
    } else if (is("1MiB")) run.sends[run.count++] = message(NULL, MIB, false);
    else if (is("+1")) run.sends[run.count++] = message(NULL, MIB + 1, false);
    else if (is("5MiB")) run.sends[run.count++] = message(NULL, 5 * MIB, false);
    else if (is("ours")) run.sends[run.count++] = message("close", 5, true);
    else if (is("deflate")) {
        size_t sizes[] = {1, 100000, 1, 100000};
        for (int n = 0; n < 4; n++) run.sends[run.count++] = message(NULL, sizes[n], true);
    } else if (is("split")) {
        run.sends[run.count++] = message("split", 5, true);
        run.sends[run.count++] = message(TEXT, strlen(TEXT), true);
    }
}

static void connect_to(struct lws_context *context, const char *url) {
    char host[64] = "";
    int port = 0;
    if (sscanf(url, "ws://%63[^:]:%d", host, &port) != 2) exit(2);
    struct lws_client_connect_info info;
    memset(&info, 0, sizeof info);
    info.context = context;
    info.address = info.host = host;
    info.port = port;
    info.path = "/";
    info.local_protocol_name = "echo";
    if (!lws_client_connect_via_info(&info)) fail("not connected");
}

int main(int count, char **arguments) {
    lws_set_log_level(0, NULL);
    if (count == 2) {
        struct lws_context *server = context(true, true);
        if (!server) return 1;
        printf("listening on ws://127.0.0.1:%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(server, "default")));
        fflush(stdout);
        while (lws_service(server, 0) >= 0) {
        }
        return 0;
    }
    const char *names[] = {"sizes", "1MiB", "+1", "5MiB", "ping", "theirs", "ours", "deflate", "split"};
    int failed = 0;
    for (int n = 0; n < 9; n++) {
        prepare(names[n]);
        struct lws_context *client = context(false, is("deflate"));
        connect_to(client, arguments[is("5MiB") ? 3 : is("deflate") ? 4 : 2]);
        for (time_t end = time(NULL) + 15; !run.done && time(NULL) < end;) lws_service(client, 0);
        if (!run.done) fail("nothing came within 15 s");
        failed |= run.error[0] != 0;
        if (run.error[0]) printf("failed %s: %s\n", run.name, run.error);
        else printf("ok %s%s%s\n", run.name, run.note[0] ? " " : "", run.note);
        fflush(stdout);
        lws_context_destroy(client);
    }
    return failed;
}
