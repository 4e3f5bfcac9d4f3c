/* The legacy server: pushes numbered messages to one client at a time, never reads, never retries.
 *
 * Its socket does not block. When the kernel's send buffer is full, send() fails with EAGAIN and the server closes
 * the connection; what was not sent is gone. A client's replies stay unread, so that close is an RST and not a FIN
 * (RFC 2525, section 2.17).
 *
 *   cc -O2 -Wall -Wextra -o legacy_server legacy_server.c
 *
 * stdout: "listening PORT", then one JSON object per line for each event: accepted, closed, done.
 * Exit status: 0 after "done" (also on SIGINT and SIGTERM), 1 when the system refuses something, 2 on wrong usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    NUMBER_BYTES = 11, /* ten digits and a space */
    DELIMITER_MAX_BYTES = 16,
    MESSAGE_MAX_BYTES = 64 << 20,
    WAIT_MS = 100, /* how late a signal or the end of --seconds may be noticed while waiting */
};
static const double SLICE_SECONDS = 0.001;
static const double ACKNOWLEDGE_SECONDS = 2; /* a client that does not read never acknowledges the rest */

static struct {
    int port;
    uint64_t seed, min_bytes, max_bytes, messages, reset_after_bytes;
    double rate, seconds;
    int send_buffer_bytes;
    unsigned char delimiter[DELIMITER_MAX_BYTES];
    size_t delimiter_bytes;
    bool exit_after_close, restart_numbers, wait_on_eagain, linger_on_end;
} options = {.seed = 1, .min_bytes = 13, .max_bytes = 10240, .delimiter = "\n", .delimiter_bytes = 1};

static struct {
    uint64_t next_number, clients, sent_messages, sent_bytes, lost_messages, closed_on_eagain;
    double began; /* when the first client was accepted; 0 before */
} server = {.next_number = 1};

struct client {
    int fd;
    uint64_t sent_messages, sent_bytes;
    double began;
};

static unsigned char *message;
static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static void fail(const char *what) {
    fprintf(stderr, "legacy_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void nap(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static bool ended(void) {
    if (stopping) return true;
    if (options.seconds > 0 && server.began > 0 && now() - server.began >= options.seconds) return true;
    return options.messages > 0 && server.next_number > options.messages;
}

/* Waits for an event on a socket; false when the server ended before it came. */
static bool wait_for(int fd, short events) {
    struct pollfd polled = {.fd = fd, .events = events};
    while (!ended())
        if (poll(&polled, 1, WAIT_MS) > 0) return true;
    return false;
}

/* The size of a message depends on the seed and its number alone (splitmix64), so a run can be repeated. */
static size_t size_of(uint64_t number) {
    uint64_t z = options.seed + number * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return options.min_bytes + z % (options.max_bytes - options.min_bytes + 1);
}

/* Number, space, filler of one letter, delimiter; returns the size of it all in bytes. */
static size_t write_message(uint64_t number) {
    size_t size = size_of(number);
    size_t text = size - options.delimiter_bytes;
    char digits[32];
    snprintf(digits, sizeof digits, "%010llu ", (unsigned long long)number);
    memcpy(message, digits, NUMBER_BYTES);
    memset(message + NUMBER_BYTES, 'a' + (int)(number % 26), text - NUMBER_BYTES);
    memcpy(message + text, options.delimiter, options.delimiter_bytes);
    return size;
}

static const char *name_of(int error) {
    switch (error) {
    case EAGAIN: return "EAGAIN";
    case ECONNRESET: return "ECONNRESET";
    case EPIPE: return "EPIPE";
    case ETIMEDOUT: return "ETIMEDOUT";
    default: return "other";
    }
}

/* Sends the message at hand; NULL when all of it went out, else why the connection must be closed. */
static const char *send_message(struct client *client, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t bytes = size - at;
        if (options.reset_after_bytes > 0) {
            uint64_t left = options.reset_after_bytes - client->sent_bytes;
            if (left == 0) return "reset";
            if (bytes > left) bytes = left;
        }
        ssize_t sent = send(client->fd, message + at, bytes, MSG_NOSIGNAL);
        if (sent >= 0) {
            at += (size_t)sent;
            client->sent_bytes += (uint64_t)sent;
        } else if (errno == EAGAIN && options.wait_on_eagain) {
            if (!wait_for(client->fd, POLLOUT)) return "end";
        } else if (errno != EINTR) {
            return name_of(errno);
        }
    }
    client->sent_messages++;
    return NULL;
}

/* Pushes messages, paced in slices, until the end or until the connection must be closed; returns why. */
static const char *push(struct client *client) {
    while (!ended()) {
        if (options.rate > 0 && (double)client->sent_bytes >= options.rate * (now() - client->began)) {
            nap(SLICE_SECONDS);
            continue;
        }
        /* The number is used up whatever happens: a message that does not get through is lost. */
        const char *reason = send_message(client, write_message(server.next_number++));
        if (reason != NULL) {
            server.lost_messages++;
            return reason;
        }
        if (client->sent_bytes == options.reset_after_bytes && options.reset_after_bytes > 0) return "reset";
    }
    return "end";
}

static int queued(int fd, unsigned long request) {
    int bytes = 0;
    return ioctl(fd, request, &bytes) == 0 ? bytes : 0;
}

/* An RST throws away what is still in our send buffer, so a test that counts bytes needs them out of it first. */
static void await_acknowledgement(int fd) {
    double deadline = now() + ACKNOWLEDGE_SECONDS;
    while (queued(fd, TIOCOUTQ) > 0 && now() < deadline && !stopping) nap(SLICE_SECONDS);
}

static void close_client(struct client *client, const char *reason) {
    if (strcmp(reason, "end") == 0 && options.linger_on_end && !stopping) {
        struct pollfd polled = {.fd = client->fd, .events = POLLRDHUP};
        shutdown(client->fd, SHUT_WR);
        while (!stopping && poll(&polled, 1, WAIT_MS) == 0) continue;
    }
    if (strcmp(reason, "reset") == 0) {
        await_acknowledgement(client->fd);
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    printf("{\"event\":\"closed\",\"reason\":\"%s\",\"client\":%llu,\"sent_bytes\":%llu,\"sent_messages\":%llu,"
           "\"seconds\":%.6f,\"unacknowledged_bytes\":%d,\"unread_reply_bytes\":%d,\"next_number\":%llu}\n",
           reason, (unsigned long long)server.clients, (unsigned long long)client->sent_bytes,
           (unsigned long long)client->sent_messages, now() - client->began, queued(client->fd, TIOCOUTQ),
           queued(client->fd, FIONREAD), (unsigned long long)server.next_number);
    close(client->fd);
    server.sent_messages += client->sent_messages;
    server.sent_bytes += client->sent_bytes;
    if (strcmp(reason, "EAGAIN") == 0) server.closed_on_eagain++;
}

static bool accept_client(int listener, struct client *client) {
    struct sockaddr_in peer;
    socklen_t peer_bytes = sizeof peer;
    if (!wait_for(listener, POLLIN)) return false;
    int fd = accept4(listener, (struct sockaddr *)&peer, &peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) fail("accept");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *client = (struct client){.fd = fd, .began = now()};
    if (server.clients++ == 0) server.began = client->began;
    if (options.restart_numbers) server.next_number = 1;
    printf("{\"event\":\"accepted\",\"client\":%llu,\"peer\":\"%s:%d\",\"next_number\":%llu}\n",
           (unsigned long long)server.clients, inet_ntoa(peer.sin_addr), ntohs(peer.sin_port),
           (unsigned long long)server.next_number);
    return true;
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Accepted sockets inherit the buffer. */
    int bytes = options.send_buffer_bytes;
    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0) fail("SO_SNDBUF");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t address_bytes = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, address_bytes) < 0) fail("bind 127.0.0.1");
    if (listen(fd, 16) < 0) fail("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &address_bytes) < 0) fail("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    return fd;
}

static void usage(FILE *to) {
    fputs("usage: legacy_server [options]\n"
          "Pushes numbered messages to one client at a time on 127.0.0.1 and closes on EAGAIN.\n\n"
          "  --port N               port to listen on; 0 (default) takes a free one\n"
          "  --rate N               bytes per second, paced every millisecond; 0 (default) as fast as possible\n"
          "  --messages N           end after message number N; 0 (default) no end\n"
          "  --seconds N            end N seconds after the first client came; 0 (default) no end\n"
          "  --min-bytes N          smallest message, delimiter included (13)\n"
          "  --max-bytes N          largest message, delimiter included (10240)\n"
          "  --seed N               sizes depend on the seed and the number alone (1)\n"
          "  --delimiter-hex HEX    bytes after each message, such as 00 or 0d0a (0a)\n"
          "  --send-buffer N        SO_SNDBUF in bytes; unset: the kernel's autotuning\n"
          "  --exit-after-close     serve one client only\n"
          "  --continue-numbers     numbers go on with the next client (default)\n"
          "  --restart-numbers      every client starts at 1\n"
          "  --wait-on-eagain       wait for room instead of closing, as a well-behaved server would\n"
          "  --reset-after-bytes N  send exactly N bytes to each client, wait up to 2 s until its kernel\n"
          "                         has them, then RST (SO_LINGER 0)\n"
          "  --linger-on-end        at the end shut down writing and wait for the client to close\n"
          "  --help                 this text\n",
          to);
}

static void refuse(const char *name, const char *value, const char *expected) {
    fprintf(stderr, "legacy_server: --%s %s: expected %s\n", name, value, expected);
    exit(2);
}

static uint64_t whole_number(const char *name, const char *text, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value > most)
        refuse(name, text, "a whole number in range");
    return value;
}

static double seconds_number(const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0)) refuse(name, text, "a number of seconds");
    return value;
}

static void read_delimiter(const char *name, const char *hex) {
    size_t digits = strlen(hex);
    if (digits == 0 || digits % 2 != 0 || digits > 2 * DELIMITER_MAX_BYTES || strspn(hex, "0123456789abcdefABCDEF") != digits)
        refuse(name, hex, "1 to 16 bytes in hexadecimal");
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        options.delimiter[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    options.delimiter_bytes = digits / 2;
    unsigned char first = options.delimiter[0];
    if (first == ' ' || (first >= '0' && first <= '9') || (first >= 'a' && first <= 'z'))
        refuse(name, hex, "a first byte that no message contains (not a digit, space or small letter)");
}

static void read_options(int argc, char **argv) {
    enum { PORT = 1, RATE, MESSAGES, SECONDS, MIN, MAX, SEED, DELIMITER, BUFFER, ONE, CONTINUE, RESTART, WAIT, RESET,
           LINGER, HELP };
    static const struct option names[] = {
        {"port", 1, 0, PORT}, {"rate", 1, 0, RATE}, {"messages", 1, 0, MESSAGES}, {"seconds", 1, 0, SECONDS},
        {"min-bytes", 1, 0, MIN}, {"max-bytes", 1, 0, MAX}, {"seed", 1, 0, SEED}, {"delimiter-hex", 1, 0, DELIMITER},
        {"send-buffer", 1, 0, BUFFER}, {"exit-after-close", 0, 0, ONE}, {"continue-numbers", 0, 0, CONTINUE},
        {"restart-numbers", 0, 0, RESTART}, {"wait-on-eagain", 0, 0, WAIT}, {"reset-after-bytes", 1, 0, RESET},
        {"linger-on-end", 0, 0, LINGER}, {"help", 0, 0, HELP}, {0, 0, 0, 0}};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
        const char *name = names[index].name;
        switch (option) {
        case PORT: options.port = (int)whole_number(name, optarg, 65535); break;
        case RATE: options.rate = (double)whole_number(name, optarg, UINT64_MAX); break;
        case MESSAGES: options.messages = whole_number(name, optarg, 9999999999u); break;
        case SECONDS: options.seconds = seconds_number(name, optarg); break;
        case MIN: options.min_bytes = whole_number(name, optarg, MESSAGE_MAX_BYTES); break;
        case MAX: options.max_bytes = whole_number(name, optarg, MESSAGE_MAX_BYTES); break;
        case SEED: options.seed = whole_number(name, optarg, UINT64_MAX); break;
        case DELIMITER: read_delimiter(name, optarg); break;
        case BUFFER: options.send_buffer_bytes = (int)whole_number(name, optarg, INT32_MAX); break;
        case ONE: options.exit_after_close = true; break;
        case CONTINUE: options.restart_numbers = false; break;
        case RESTART: options.restart_numbers = true; break;
        case WAIT: options.wait_on_eagain = true; break;
        case RESET: options.reset_after_bytes = whole_number(name, optarg, UINT64_MAX); break;
        case LINGER: options.linger_on_end = true; break;
        case HELP: usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind < argc) refuse("port", argv[optind], "options only");
    if (options.min_bytes < NUMBER_BYTES + options.delimiter_bytes || options.max_bytes < options.min_bytes) {
        fprintf(stderr, "legacy_server: need %zu <= --min-bytes <= --max-bytes\n", NUMBER_BYTES + options.delimiter_bytes);
        exit(2);
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    message = malloc(options.max_bytes);
    if (message == NULL) fail("memory for a message");
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    int listener = listen_on(options.port);
    struct client client;
    while (accept_client(listener, &client)) {
        close_client(&client, push(&client));
        if (options.exit_after_close) break;
    }
    printf("{\"event\":\"done\",\"clients\":%llu,\"closed_on_eagain\":%llu,\"sent_bytes\":%llu,\"sent_messages\":%llu,"
           "\"lost_messages\":%llu,\"seconds\":%.6f}\n",
           (unsigned long long)server.clients, (unsigned long long)server.closed_on_eagain,
           (unsigned long long)server.sent_bytes, (unsigned long long)server.sent_messages, (unsigned long long)server.lost_messages,
           server.began > 0 ? now() - server.began : 0.0);
    return 0;
}
