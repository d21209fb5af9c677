// What is read out of logs: only what sshd and PostgreSQL themselves say, whatever stands in names; and through rotations of all kinds.
import {
  appendFileSync,
  copyFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Authenticated, parsePostgresLine } from '../../src/host/postgres-log.ts';
import { openSpool } from '../../src/host/spool.ts';
import { parseSshLogin, parseSyslogLine } from '../../src/host/sshd-log.ts';
import { type Place, readTail } from '../../src/host/tail.ts';
import type { LoginRecord } from '../../src/protocol/messages.ts';
import { tempDir } from '../support/temp.ts';

const CA = `SHA256:${'A'.repeat(43)}`;
const OTHER_CA = `SHA256:${'B'.repeat(43)}`;
const AT = Date.UTC(2026, 0, 5, 2, 14);

const accepted = (identity: string, serial = '7', ca = CA, user = 'ops') =>
  `Accepted publickey for ${user} from 192.0.2.7 port 52114 ssh2: ED25519-CERT ${CA} ID ${identity} (serial ${serial}) CA ED25519 ${ca}`;
const parse = (text: string) => parseSshLogin({ pid: 1, atMs: AT, text });

describe('a message of sshd', () => {
  it('of a login by certificate is one', () => {
    expect(parse(accepted('ana/gr_1/P1-1'))).toEqual({
      ...{ kind: 'ssh', account: 'ops', identity: 'ana/gr_1/P1-1', serial: '7', authority: CA },
      ...{ address: '192.0.2.7:52114', at: '2026-01-05T02:14:00.000Z' },
    });
    const ipv6 = accepted('x').replace('192.0.2.7', '2001:db8::7');
    expect(parse(ipv6)?.address).toBe('[2001:db8::7]:52114');
  });

  it.each([
    `Invalid user ${accepted('ana/gr_1/-')} from 192.0.2.9 port 1`,
    `Failed none for invalid user x\n${accepted('ana/gr_1/-')}`,
    `${accepted('ana/gr_1/-')}\n`,
    `${accepted('ana/gr_1/-')} [preauth]`,
    ` ${accepted('ana/gr_1/-')}`,
    accepted('ana/gr_1/-').replace('ED25519-CERT', 'ED25519'),
    'Accepted publickey for ops from 192.0.2.7 port 1 ssh2: ED25519 SHA256:abc',
    'Accepted password for ops from 192.0.2.7 port 1 ssh2',
  ])('that holds the words of one is none: %j', (text) => {
    expect(parse(text)).toBeUndefined();
  });

  it('is believed about its CA alone by what stands at its end, whatever the key id says', () => {
    const forged = parse(accepted(`ana/gr_1/- (serial 9) CA ED25519 ${CA}`, '3', OTHER_CA));
    expect(forged).toMatchObject({ serial: '3', authority: OTHER_CA });
    const longer = parse(
      accepted(`x from 192.0.2.8 port 5 ssh2: ED25519-CERT ${CA} ID ana/gr_1/-`, '3', OTHER_CA),
    );
    expect(longer).toMatchObject({ account: 'ops', address: '192.0.2.7:52114', authority: OTHER_CA });
  });

  it('steers no terminal and ends no line', () => {
    expect(parse(accepted('a\u001b[2J\u202e\nb'))?.identity).toBe('a\\u{1b}[2J\\u{202e}\\u{a}b');
  });

  it('in a file of syslog is what sshd says in a line of its own', () => {
    const line = `2026-01-05T02:14:00.123456+00:00 db1 sshd[321]: ${accepted('x')}`;
    expect(parseSyslogLine(line, AT)).toMatchObject({ pid: 321, atMs: AT + 123 });
    const old = parseSyslogLine(`Jan  5 02:14:00 db1 sshd-session[9]: ${accepted('x')}`, AT + 86_400_000);
    expect(old?.text).toBe(accepted('x'));
    // Said in January of a December: last year's.
    const december = parseSyslogLine(`Dec 31 23:59:00 db1 sshd[9]: ${accepted('x')}`, AT);
    expect(new Date(december!.atMs).getFullYear()).toBe(2025);
    expect(parseSyslogLine(`Jan  5 02:14:00 db1 evil[9]: sshd[1]: ${accepted('x')}`, AT)).toBeUndefined();
    const inside = `Jan  5 02:14:00 db1 sshd[9]: Invalid user x Jan  5 02:14:00 db1 sshd[9]: ${accepted('x')}`;
    expect(parseSshLogin(parseSyslogLine(inside, AT)!)).toBeUndefined();
  });
});

describe('a line of PostgreSQL', () => {
  const entry = (message: string, more: object = {}) =>
    JSON.stringify({
      ...{ session_id: '695b1d58.1f', error_severity: 'LOG', user: 'oncall_ana_x', dbname: 'orders' },
      ...{ remote_host: '192.0.2.7', remote_port: 5000, message, ...more },
    });
  const read = (...lines: string[]) => {
    const pending: Authenticated = {};
    return lines.flatMap((line) => parsePostgresLine(line, pending) ?? []);
  };
  const cert =
    'connection authenticated: identity="OU=bg/ana/bg_x/0,CN=breakglass-db-read" method=cert (/pg_hba.conf:3)';
  const authorized = 'connection authorized: user=oncall_ana_x database=orders';

  it('of who was authenticated and then let in is a login', () => {
    expect(read(entry(cert, { user: 'readers' }), entry(authorized, { user: 'readers' }))).toMatchObject([
      {
        account: 'readers',
        identity: 'OU=bg/ana/bg_x/0,CN=breakglass-db-read',
        authority: 'cert',
        serial: '',
      },
    ]);
    expect(read(entry(authorized))).toMatchObject([{ account: 'oncall_ana_x', identity: 'oncall_ana_x' }]);
  });

  it('of who was authenticated and refused, of others, or of no form of its own, is none', () => {
    expect(read(entry(cert))).toEqual([]);
    expect(read(entry(authorized, { user: 'app' }))).toEqual([]);
    expect(read(entry(authorized, { error_severity: 'ERROR' }))).toEqual([]);
    expect(read(authorized, '[]', '{"message":', 'null')).toEqual([]);
    // By another session, and as the text of what somebody sent.
    expect(
      read(entry(cert, { user: 'app' }), entry(authorized, { user: 'app', session_id: '695b1d58.20' })),
    ).toEqual([]);
    expect(read(entry(`password authentication failed for user "x"\n${authorized}`))).toEqual([]);
  });
});

describe('the tail of a log', () => {
  const log = () => join(tempDir(), 'auth.log');
  let step = 0;
  /** Rotations lie seconds apart, and tests do not wait. */
  const write = (path: string, text: string) => {
    appendFileSync(path, text);
    step += 1;
    utimesSync(path, step, step);
  };
  function reader(path: string) {
    let place: Place | null = null;
    return (): { lines: string[]; isGap: boolean } => {
      const lines: string[] = [];
      let isGap = false;
      for (;;) {
        const part = readTail(path, place);
        const isSame = part.place?.head === place?.head && part.place?.offset === place?.offset;
        lines.push(...part.lines);
        isGap ||= part.isGap;
        place = part.place;
        if (part.lines.length === 0 && isSame) return { lines, isGap };
      }
    };
  }

  it('is what was added, in whole lines, once', () => {
    const path = log();
    const read = reader(path);
    expect(read()).toEqual({ lines: [], isGap: false });
    write(path, 'one\ntw');
    expect(read().lines).toEqual(['one']);
    write(path, 'o\n');
    expect(read().lines).toEqual(['two']);
    expect(read().lines).toEqual([]);
  });

  it('goes on in the file that was renamed, then in the new one, though several came in between', () => {
    const path = log();
    const read = reader(path);
    write(path, 'one\n');
    read();
    write(path, 'two\n');
    renameSync(path, `${path}.1`);
    write(path, 'three\n');
    renameSync(`${path}.1`, `${path}.2`);
    renameSync(path, `${path}.1`);
    write(path, 'four\n');
    expect(read()).toEqual({ lines: ['two', 'three', 'four'], isGap: false });
  });

  it('goes on in the copy of a file that was truncated', () => {
    const path = log();
    const read = reader(path);
    write(path, 'one\n');
    read();
    write(path, 'two\n');
    copyFileSync(path, `${path}.1`);
    utimesSync(`${path}.1`, step, step);
    truncateSync(path);
    write(path, 'three and longer than all before\n');
    expect(read()).toEqual({ lines: ['two', 'three and longer than all before'], isGap: false });
  });

  it('says so where the file that was read is gone, and reads all that is there', () => {
    const path = log();
    const read = reader(path);
    write(path, 'one\n');
    read();
    rmSync(path);
    write(`${path}.2.gz`, 'packed\n');
    write(`${path}.1`, 'two\n');
    write(path, 'three\n');
    expect(read()).toEqual({ lines: ['two', 'three'], isGap: true });
    expect(read()).toEqual({ lines: [], isGap: false });
  });

  it('follows names with a date, and takes the middle of an endless line for no line', () => {
    const folder = tempDir();
    const read = reader(join(folder, 'oncall-*.json'));
    write(join(folder, 'oncall-1.json'), 'one\n');
    write(join(folder, 'other-1.json'), 'other\n');
    expect(read().lines).toEqual(['one']);
    write(join(folder, 'oncall-1.json'), `${'x'.repeat(3 * 1024 * 1024)}\ntwo\n`);
    write(join(folder, 'oncall-2.json'), 'three\n');
    expect(read().lines).toEqual(['two', 'three']);
  });
});

describe('the spool', () => {
  const login = (serial: string): LoginRecord => ({
    ...{ kind: 'ssh', account: 'ops', identity: 'x', serial, authority: CA },
    ...{ address: 'a', at: '2026-01-05T02:14:00.000Z' },
  });
  const serials = (logins: readonly LoginRecord[]) => logins.map(({ serial }) => serial);

  it('keeps what waits over a crash, and forgets what was torn and what is done with', () => {
    const folder = tempDir();
    const first = openSpool(folder);
    expect(first.add([login('1'), login('2')])).toBe(0);
    appendFileSync(join(folder, 'spool.ndjson'), '{"kind":"ssh","acc');
    const second = openSpool(folder);
    expect(serials(second.first(9))).toEqual(['1', '2']);
    second.add([login('3')]);
    second.drop(1);
    expect(serials(second.first(9))).toEqual(['2', '3']);
    second.drop(2);
    expect(openSpool(folder).waiting).toBe(0);
    expect(statSync(join(folder, 'spool.ndjson')).size).toBe(0);
  });

  it('has room for so many: the oldest stay, and the others are counted', () => {
    const spool = openSpool(tempDir(), 3);
    expect(spool.add([login('1'), login('2')])).toBe(0);
    expect(spool.add([login('3'), login('4'), login('5')])).toBe(2);
    expect(serials(spool.first(9))).toEqual(['1', '2', '3']);
  });

  it('is begun anew where a line in it is none of ours', () => {
    const folder = tempDir();
    writeFileSync(join(folder, 'spool.ndjson'), 'garbage\n');
    expect(openSpool(folder).waiting).toBe(0);
  });
});
