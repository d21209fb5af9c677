// Loaded by node before a life of break-glass, where a test says so (NODE_OPTIONS): ends it, by SIGKILL, at the point that KILL_AT names.
// A point is `before|after sync N|rename NAME|send PATH|answer PATH`: the Nth sync of the journal, a file that is put in place, a call to the
// broker. The product has no switch for it.
const fs = require('node:fs');
const http = require('node:http');

const [when, what, which] = (process.env.KILL_AT ?? '').split(' ');
const die = () => process.kill(process.pid, 'SIGKILL');
if (what === 'sync' || what === 'torn') {
  let count = 0;
  const isJournal = (fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('/journal');
    } catch {
      return false;
    }
  };
  const { fsync, writeSync } = fs;
  fs.fsync = (fd, done) => {
    const isHit = isJournal(fd) && ++count === Number(which);
    if (isHit && what === 'sync' && when === 'before') die();
    return fsync(fd, (...args) => {
      if (isHit && what === 'sync') die();
      done(...args);
    });
  };
  let writes = 0;
  fs.writeSync = (fd, data, ...rest) => {
    if (what !== 'torn' || !isJournal(fd) || ++writes !== Number(which)) return writeSync(fd, data, ...rest);
    writeSync(fd, data.subarray(0, Math.floor(data.length / 2)));
    return die();
  };
}
if (what === 'rename') {
  const rename = fs.renameSync;
  fs.renameSync = (from, to) => {
    const isHit = String(to).includes(which);
    if (isHit && when === 'before') die();
    rename(from, to);
    if (isHit && when === 'after') die();
  };
}
if (what === 'send') {
  const end = http.ClientRequest.prototype.end;
  http.ClientRequest.prototype.end = function (...args) {
    const isHit = `${this.method} ${this.path}` === which.replace('+', ' ');
    if (isHit && when === 'before') die();
    // The broker has it, and its answer is lost.
    if (isHit && when === 'after') this.once('response', die);
    return end.apply(this, args);
  };
}
