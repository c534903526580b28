// The client's side of the conversation (see ../talk.py) in Node.
//
//   node client.mjs ws|standard < {"words": …, "size": 0, "calls": [{"url": …, "deflate": true}, …]}
//
// prints a JSON list with a transcript for each call, {"error": …} where one failed.

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { WebSocket as Ws } from "ws";

const PATIENCE = 30_000;

const { words, size, calls } = JSON.parse(await text(process.stdin));
const octets = (latin) => Buffer.from(latin, "latin1");

/** One connection of `ws`, which answers a question at a time. */
const open = (url, deflate) =>
  new Promise((resolve, reject) => {
    const socket = new Ws(url, words.protocols, { perMessageDeflate: deflate, maxPayload: 32 << 20 });
    const arrived = [];
    const waiting = [];
    const tell = (what) => (waiting.length ? waiting.shift()(what) : arrived.push(what));
    const closed = new Promise((done) =>
      socket.on("close", (code, reason) => (tell(null), done([code, reason.toString()]))),
    );
    const receive = () =>
      arrived.length ? Promise.resolve(arrived.shift()) : new Promise((done) => waiting.push(done));
    const ask = (message) => (socket.send(message), receive());
    socket.on("message", (data, binary) => tell(binary ? data : data.toString()));
    socket.on("error", reject);
    let extensions = "";
    socket.on("upgrade", ({ headers }) => (extensions = headers["sec-websocket-extensions"] ?? ""));
    socket.on("open", () => resolve({ socket, extensions, receive, ask, closed }));
  });

const echo = async (end, message) => {
  const got = await end.ask(message);
  const same = typeof got === typeof message && (typeof got === "string" ? got === message : got.equals(message));
  const length = typeof message === "string" ? [...message].length : message.length;
  return `${typeof got === "string" ? "str" : "bytes"} of ${length}: ${same ? "same" : "another"}`;
};

const converse = async (url, deflate) => {
  if (size) {
    const long = await open(`${url}-long`, deflate);
    const echoes = [await echo(long, "0123456789abcdef".repeat(size / 16)), await echo(long, Buffer.alloc(size))];
    long.socket.close(1000);
    await long.closed;
    return { extensions: long.extensions, echoes };
  }
  const first = await open(`${url}-1`, deflate);
  const transcript = { protocol: first.socket.protocol, extensions: first.extensions, echoes: [] };
  for (const [kind, message] of words.messages)
    transcript.echoes.push(await echo(first, kind === "str" ? message : octets(message)));
  words.pieces.forEach((piece, at) => first.socket.send(piece, { fin: at === words.pieces.length - 1 }));
  transcript["pieces sent"] = await first.receive();
  transcript["pieces received"] = await first.ask("!pieces");
  const pong = new Promise((done) => first.socket.once("pong", (data) => done(data.toString() === "are you there?")));
  first.socket.ping("are you there?");
  transcript.ping = await pong;
  transcript.pinged = await first.ask("!ping");
  first.socket.close(...words.clientCloses);
  transcript.end = await first.closed;

  const name = url.slice(url.lastIndexOf("/") + 1);
  const second = await open(`${url}-2`, deflate);
  transcript["client closes"] = JSON.parse(await second.ask(`!seen ${name}-1`));
  second.socket.close();
  await second.closed;

  const third = await open(`${url}-3`, deflate);
  transcript["plain close"] = JSON.parse(await third.ask(`!seen ${name}-2`));
  transcript.rest = await third.ask(`!close ${words.serverCloses.join(" ")}`);
  transcript["server closes"] = await third.closed;
  return transcript;
};

const standard = (0, eval)(readFileSync(new URL("standard.js", import.meta.url), "utf8"));
const call = process.argv[2] === "ws" ? converse : (url) => standard(url, words, size);
const transcripts = [];
for (const { url, deflate } of calls) {
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE, new Error("it takes too long")));
  transcripts.push(await Promise.race([call(url, deflate), late]).catch((error) => ({ error: String(error) })));
}
process.stdout.write(JSON.stringify(transcripts), () => process.exit());
