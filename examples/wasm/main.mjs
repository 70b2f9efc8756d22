// Publishes the values "reading 0", "reading 1", … from Node, with the producer in a WebAssembly module. Its sockets, its clock and its
// loop are here.
//
//     node main.mjs MODULE HOST PORT TOPIC RECORDS

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";

const [module, host, port, topic, records] = process.argv.slice(2);
const sockets = new Map();
let producer, timer, next = 0, isFinishing = false, delivered = 0, scheduled = false;

const now = () => performance.now();
const bytes = (pointer, length) => Buffer.from(producer.memory.buffer, pointer, length);
const text = (pointer, length) => bytes(pointer, length).toString();

/** Copies bytes into the module's buffer. */
function pass(data) {
  const pointer = producer.buffer(data.length); // first, since it may move the module's memory
  bytes(pointer, data.length).set(data);
  return data.length;
}

/** Calls a function of the module, and polls it soon: what happens in one turn of Node's loop shares a poll. */
function tell(call) {
  call();
  if (!scheduled) {
    scheduled = true;
    setImmediate(turn);
  }
}

const imports = {
  connect(id, pointer, length, port) {
    let isConnected = false;
    const socket = connect({ host: text(pointer, length), port, noDelay: true });
    sockets.set(id, socket);
    const isOpen = () => sockets.get(id) === socket;
    socket.on("connect", () => isOpen() && tell(() => ((isConnected = true), producer.connected(id, now()))));
    socket.on("data", (data) => isOpen() && tell(() => producer.received(id, pass(data), now())));
    socket.on("error", (error) => console.error(`${error.message}`));
    socket.on("close", () => isOpen() && sockets.delete(id) && tell(() => producer.disconnected(id, isConnected, now())));
  },
  // The module's memory may change after the call, and Node writes later: a copy is needed.
  transmit: (id, pointer, length) => sockets.get(id)?.write(Buffer.from(bytes(pointer, length))),
  close(id) {
    const socket = sockets.get(id);
    sockets.delete(id);
    socket?.destroy();
  },
  delivered: (count) => (delivered += count),
  failed: (pointer, length) => ((process.exitCode = 1), console.error(text(pointer, length))),
  log: (pointer, length) => console.error(text(pointer, length)),
  closed: () => {
    console.log(`wasm: ${delivered} records delivered, by a module of ${size} bytes`);
    process.exitCode ??= delivered === Number(records) ? 0 : 1;
  },
};

/** Fills batches while the producer has memory for them, and polls it. */
function turn() {
  scheduled = false;
  clearTimeout(timer);
  while (next < records) {
    if (producer.append(pass(Buffer.from(`reading ${next}`)))) next++;
    else if (!producer.send(now())) break;
  }
  if (next == records && !isFinishing && (next === 0 || producer.send(now()))) {
    isFinishing = true;
    producer.finish(now());
  }
  const deadline = producer.poll(now());
  if (deadline >= 0) timer = setTimeout(turn, Math.max(0, Math.ceil(deadline - now())));
}

const code = await readFile(module);
const size = code.length;
producer = (await WebAssembly.instantiate(code, { host: imports })).instance.exports;
const names = [host, topic].map((name) => Buffer.from(name));
pass(Buffer.concat(names));
producer.start(names[0].length, names[1].length, Number(port), randomBytes(8).readBigUInt64LE(), now(), Date.now());
turn();
