import { AppError } from '../protocol/errors.ts';
import { verifyEmbedded, verifyEnrolment } from './embedded.ts';
import type { AuditEntry, EmbeddedRequest } from './entry.ts';
import { isRecord, isText } from './json-shape.ts';

interface Enrolment {
  readonly device: string;
  readonly user: string;
}

/** The devices that a log has enrolled up to some entry, by signing key: who may have signed what it embeds. */
export class EnrolledDevices {
  readonly #byKey = new Map<string, Enrolment>();
  /** Key by device. */
  readonly #devices = new Map<string, string>();

  /** Takes the next entry. Throws `audit_invalid` for a request that its device did not sign, or was not enrolled to sign. */
  take(entry: AuditEntry): void {
    const { embedded } = entry;
    if (entry.event === 'device.enrolled') {
      const publicKey = this.#enrol(entry);
      // After the key was noted: what the device signs later is judged by itself.
      if (embedded?.publicKey !== publicKey) {
        throw new AppError('audit_invalid', 'the enrolment is not proven by the key that it enrols');
      }
      verifyEnrolment(embedded);
    } else if (embedded !== undefined) {
      this.#requireActor(entry, embedded);
      verifyEmbedded(embedded);
    }
  }

  /** The signing key, as text. */
  keyOf(device: string): string | undefined {
    return this.#devices.get(device);
  }

  /**
   * Notes the device and gives its key. Throws `audit_invalid` where the entry doesn't say whose device and which key it
   * is, or where it would give a device another key, or a key another device.
   */
  #enrol({ actor, subject, data }: AuditEntry): string {
    const device = actor.kind === 'device' ? actor.id : (actor.device ?? subject?.device);
    const user = actor.kind === 'user' ? actor.id : subject?.user;
    const publicKey = isRecord(data) ? data.publicKey : undefined;
    if (!isText(device) || !isText(user) || !isText(publicKey)) {
      throw new AppError('audit_invalid', 'the enrolment does not name its user, device and key');
    }
    if (this.#byKey.has(publicKey) || this.#devices.has(device)) {
      throw new AppError('audit_invalid', 'the device or its key was enrolled before');
    }
    this.#byKey.set(publicKey, { device, user });
    this.#devices.set(device, publicKey);
    return publicKey;
  }

  /**
   * Returns if the key of the embedded request was enrolled, and belongs to the entry's actor where that is a user or a
   * device. Throws `audit_invalid` else.
   */
  #requireActor({ actor }: AuditEntry, { publicKey }: EmbeddedRequest): void {
    const enrolment = this.#byKey.get(publicKey);
    if (enrolment === undefined) {
      throw new AppError(
        'audit_invalid',
        'the request is signed by a device that the log did not enrol before',
      );
    }
    const device = actor.kind === 'device' ? actor.id : (actor.device ?? enrolment.device);
    const user = actor.kind === 'user' ? actor.id : enrolment.user;
    if (device !== enrolment.device || user !== enrolment.user) {
      throw new AppError('audit_invalid', "the request is signed by another device than the entry's actor");
    }
  }
}
