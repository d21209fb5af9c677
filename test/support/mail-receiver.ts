// A real SMTP server on loopback. It keeps what it took, and can refuse, stall or break at a named point of the dialogue.
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  /** The envelope. */
  from: string;
  to: string[];
  /** Whether it came over TLS, and who had logged in. */
  secure: boolean;
  user: string | undefined;
  /** Unfolded, names in lower case, in order. */
  headers: [name: string, value: string][];
  /** As it came: headers, an empty line, the body in its transfer encoding. */
  raw: string;
  /** Decoded. */
  text: string;
}

/** What the server does instead of taking a mail: a reply code there, or nothing at all, or it hangs up. */
export type MailFault =
  | { at: 'recipient'; address: string; code: number }
  | { at: 'data'; code: number }
  | { at: 'data'; does: 'break' | 'stall' }
  | { at: 'greeting'; does: 'stall' };

export interface MailReceiverOptions {
  /** PEM; with it the server offers STARTTLS, or speaks TLS from the first byte. */
  tls?: { certificate: string; key: string; fromTheFirstByte?: boolean };
  /** With it the server asks for a login. */
  login?: { user: string; password: string };
  fault?: MailFault;
}

export interface MailReceiver {
  port: number;
  mails: ReceivedMail[];
  /** Who tried to log in. */
  logins: string[];
  /** How many connections there were. */
  connections(): number;
  /** Whether a client waits at the point where the server stalls. */
  stalled(): boolean;
  close(): Promise<void>;
}

export async function startMailReceiver({
  tls,
  login,
  fault,
}: MailReceiverOptions = {}): Promise<MailReceiver> {
  const mails: ReceivedMail[] = [];
  const logins: string[] = [];
  let connections = 0;
  let stalled = false;
  const server = new SMTPServer({
    ...(tls && { cert: tls.certificate, key: tls.key, secure: tls.fromTheFirstByte === true }),
    disabledCommands: [...(tls ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])],
    disableReverseLookup: true,
    allowInsecureAuth: true,
    logger: false,
    closeTimeout: 1,
    onConnect(_session, done) {
      connections++;
      if (fault?.at === 'greeting') stalled = true;
      else done();
    },
    onAuth({ username = '', password }, _session, done) {
      logins.push(username);
      if (username === login?.user && password === login?.password) done(null, { user: username });
      else done(replyError(535, 'authentication failed'));
    },
    onRcptTo({ address }, _session, done) {
      if (fault?.at === 'recipient' && fault.address === address) done(replyError(fault.code, 'not here'));
      else done();
    },
    onData(stream, session, done) {
      if (fault?.at === 'data' && 'does' in fault) {
        stream.once('data', () => {
          stalled = true;
          if (fault.does === 'break')
            for (const connection of server.connections) connection._socket.destroy();
        });
        return;
      }
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (fault?.at === 'data') return done(replyError(fault.code, 'no'));
        mails.push({
          from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
          to: session.envelope.rcptTo.map(({ address }) => address),
          secure: session.secure,
          user: session.user,
          ...parseMail(Buffer.concat(chunks).toString('utf8')),
        });
        done();
      });
    },
  });
  server.on('error', () => {}); // connections that a test breaks
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    logins,
    connections: () => connections,
    stalled: () => stalled,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function replyError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

function parseMail(raw: string): Pick<ReceivedMail, 'headers' | 'raw' | 'text'> {
  const end = raw.indexOf('\r\n\r\n');
  const headers = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
    .map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
  const encoding = headers.find(([name]) => name === 'content-transfer-encoding')?.[1];
  return { headers, raw, text: decode(raw.slice(end + 4), encoding) };
}

function decode(body: string, encoding: string | undefined): string {
  const unixLines = (text: string) => text.replaceAll('\r\n', '\n');
  if (encoding === 'base64') return unixLines(Buffer.from(body, 'base64').toString('utf8'));
  if (encoding !== 'quoted-printable') return unixLines(body);
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return unixLines(Buffer.from(bytes, 'latin1').toString('utf8'));
}
