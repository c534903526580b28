// The client's side of the conversation (see ../talk.py) with the WebSocket that browsers have, and Node.
// An expression: a function of a url and the size of long messages that promises a transcript.
(async (url, words, size) => {
  const same = (one, other) => {
    if (typeof one === "string" || typeof other === "string") return one === other;
    const [left, right] = [new Uint8Array(one), new Uint8Array(other)];
    return left.length === right.length && left.every((byte, at) => byte === right[at]);
  };

  const open = (name) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(name, words.protocols);
      socket.binaryType = "arraybuffer";
      const arrived = [];
      const waiting = [];
      const tell = (what) => (waiting.length ? waiting.shift()(what) : arrived.push(what));
      const closed = new Promise((done) => {
        socket.onclose = ({ code, reason, wasClean }) => {
          reject(new Error(`closed with ${code} before it was open`));
          tell(null);
          done({ code, reason, wasClean });
        };
      });
      const receive = () =>
        arrived.length ? Promise.resolve(arrived.shift()) : new Promise((done) => waiting.push(done));
      const ask = (message) => (socket.send(message), receive());
      socket.onmessage = ({ data }) => tell(data);
      socket.onopen = () => resolve({ socket, receive, ask, closed });
    });

  const echo = async (end, message) => {
    const got = await end.ask(message);
    const kind = typeof got === "string" ? "str" : "bytes";
    const length = typeof message === "string" ? [...message].length : message.byteLength;
    return `${kind} of ${length}: ${same(got, message) ? "same" : "another"}`;
  };

  if (size) {
    const long = await open(`${url}-long`);
    const text = "0123456789abcdef".repeat(size / 16);
    const echoes = [await echo(long, text), await echo(long, new ArrayBuffer(size))];
    long.socket.close(1000);
    await long.closed;
    return { extensions: long.socket.extensions, echoes };
  }

  const messages = words.messages.map(([kind, text]) =>
    kind === "str" ? text : Uint8Array.from(text, (each) => each.charCodeAt(0)).buffer,
  );
  const first = await open(`${url}-1`);
  const transcript = { protocol: first.socket.protocol, extensions: first.socket.extensions, echoes: [] };
  for (const message of messages) transcript.echoes.push(await echo(first, message));
  transcript["pieces sent"] = await first.ask(words.pieces.join(""));
  transcript["pieces received"] = await first.ask("!pieces");
  transcript.ping = false;
  transcript.pinged = await first.ask("!ping");
  first.socket.close(...words.clientCloses);
  transcript.end = await first.closed;

  const name = url.slice(url.lastIndexOf("/") + 1);
  const second = await open(`${url}-2`);
  transcript["client closes"] = JSON.parse(await second.ask(`!seen ${name}-1`));
  second.socket.close();
  await second.closed;

  const third = await open(`${url}-3`);
  transcript["plain close"] = JSON.parse(await third.ask(`!seen ${name}-2`));
  transcript.rest = await third.ask(`!close ${words.serverCloses.join(" ")}`);
  const { code, reason, wasClean } = await third.closed;
  transcript["server closes"] = [code, reason];
  transcript.clean = wasClean;
  return transcript;
})
