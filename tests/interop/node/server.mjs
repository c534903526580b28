// The server's side of the conversation (see ../talk.py) with `ws`.
//
//   node server.mjs < {"words": …, "key": PEM, "cert": PEM}, then an open standard input
//
// prints a JSON list of [deflate, tls, port], and ends with its standard input.

import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const seen = new Map();
/** What was seen of the connection called `name`: a promise, and how to keep it. */
const memory = (name) => {
  if (!seen.has(name)) {
    const kept = {};
    kept.promise = new Promise((resolve) => (kept.resolve = resolve));
    seen.set(name, kept);
  }
  return seen.get(name);
};

const answer = (socket, request, words) => {
  const counts = { texts: 0, octets: 0 };
  socket.on("message", async (data, binary) => {
    if (binary) return (counts.octets++, socket.send(data));
    counts.texts++;
    const text = data.toString();
    const [command, argument, ...rest] = text.split(" ");
    if (command === "!ping") {
      socket.once("pong", () => socket.send("ponged"));
      socket.ping("are you there?");
    } else if (command === "!pieces") {
      words.pieces.forEach((piece, at) => socket.send(piece, { fin: at === words.pieces.length - 1 }));
    } else if (command === "!close") {
      socket.close(Number(argument), rest.join(" "));
    } else if (command === "!seen") {
      socket.send(JSON.stringify(await memory(argument).promise));
    } else {
      socket.send(text);
    }
  });
  socket.on("close", (code, reason) => {
    const offered = (field) => request.headers[`sec-websocket-${field}`] ?? "";
    memory(request.url.slice(request.url.lastIndexOf("/") + 1)).resolve({
      protocols: offered("protocol"),
      extensions: offered("extensions"),
      ...counts,
      code,
      reason: reason.toString(),
    });
  });
};

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit());
const { words, key, cert } = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
const ports = [];
for (const deflate of [true, false]) {
  for (const tls of [false, true]) {
    const server = tls ? createHttps({ key, cert }) : createHttp();
    new WebSocketServer({
      server,
      perMessageDeflate: deflate,
      maxPayload: 32 << 20,
      handleProtocols: (offered) => (offered.has(words.protocols[1]) ? words.protocols[1] : false),
    }).on("connection", (socket, request) => answer(socket, request, words));
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    ports.push([deflate, tls, server.address().port]);
  }
}
console.log(JSON.stringify(ports));
