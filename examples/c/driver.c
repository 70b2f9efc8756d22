/* The driver: sockets and poll(2). The machine needs nothing else. */

#include "driver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A producer has a connection to each broker; an attempt that fails makes room for the next. */
enum { CONNECTIONS = 64 };

static struct connection {
    uint64_t id;
    bool is_connected;
} connections[CONNECTIONS];
static struct pollfd sockets[CONNECTIONS];
static int count;

int64_t now(void) {
    static struct timespec start, time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    if (start.tv_sec == 0) start = time;
    return (int64_t)(time.tv_sec - start.tv_sec) * 1000000000 + (time.tv_nsec - start.tv_nsec);
}

static void drop(int at) {
    close(sockets[at].fd);
    count--;
    sockets[at] = sockets[count];
    connections[at] = connections[count];
}

static int find(uint64_t id) {
    for (int at = 0;; at++)
        if (at == count || connections[at].id == id) return at;
}

/* Begins to connect. Returns 0, or the error. */
static int begin(const KbOutput *output) {
    char port[6];
    snprintf(port, sizeof port, "%u", (unsigned)output->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    if (count == CONNECTIONS) return EMFILE;
    if (getaddrinfo(output->text, port, &hints, &address) != 0) return EHOSTUNREACH; /* a real program does not block here */
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1, error = 0;
    if (fd < 0 || (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)) {
        error = errno;
        if (fd >= 0) close(fd);
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        sockets[count] = (struct pollfd){.fd = fd, .events = POLLOUT};
        connections[count++] = (struct connection){.id = output->connection, .is_connected = false};
    }
    freeaddrinfo(address);
    return error;
}

/* Reads and writes what is ready. Returns false if the connection has ended. */
static bool step(KbProducer *producer, int at) {
    static uint8_t buffer[64 * 1024];
    uint64_t id = connections[at].id;
    int fd = sockets[at].fd, error = 0;
    if (!connections[at].is_connected && sockets[at].revents != 0) {
        socklen_t length = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error == 0) kb_connected(producer, id, now());
        connections[at].is_connected = error == 0;
    }
    ssize_t received = -1;
    if (error == 0 && connections[at].is_connected) {
        received = recv(fd, buffer, sizeof buffer, 0);
        if (received > 0) kb_received(producer, id, buffer, (size_t)received, now());
        if (received < 0 && errno != EAGAIN && errno != EINTR) error = errno;
    }
    KbBytes bytes = kb_next_bytes(producer, id);
    for (ssize_t sent = 1; connections[at].is_connected && bytes.length > 0 && sent > 0; bytes = kb_next_bytes(producer, id)) {
        sent = send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);
        if (sent > 0) kb_written(producer, id, (size_t)sent, now()); /* after an error, reading returns the cause */
    }
    sockets[at].events = connections[at].is_connected ? POLLIN : 0;
    if (bytes.length > 0 || !connections[at].is_connected) sockets[at].events |= POLLOUT;
    if (error == 0 && received != 0) return true;
    kb_disconnected(producer, id, connections[at].is_connected, error, now());
    return false;
}

bool drive(KbProducer *producer, void (*on_output)(const KbOutput *, void *), void *context) {
    KbOutput output;
    while ((output = kb_poll(producer, now())).kind != KB_OUTPUT_KIND_WAIT) {
        int at = find(output.connection);
        if (output.kind == KB_OUTPUT_KIND_CONNECT) {
            int error = begin(&output);
            if (error != 0) kb_disconnected(producer, output.connection, false, error, now());
        } else if (output.kind == KB_OUTPUT_KIND_TRANSMIT) {
            if (at < count) sockets[at].events |= POLLOUT;
        } else if (output.kind == KB_OUTPUT_KIND_CLOSE) {
            if (at < count) drop(at);
        } else {
            on_output(&output, context);
            if (output.kind == KB_OUTPUT_KIND_CLOSED) return true;
        }
    }
    int64_t left = output.deadline - now();
    int timeout = output.deadline < 0 ? -1 : left <= 0 ? 0 : (int)(left / 1000000 + 1);
    if (poll(sockets, (nfds_t)count, timeout) < 0 && errno != EINTR) return false;
    for (int at = count - 1; at >= 0; at--)
        if (!step(producer, at)) drop(at);
    return true;
}
