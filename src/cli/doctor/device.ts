/** This device and its person, as the broker knows them. */
import { isAppError } from '../../protocol/errors.ts';
import { bothTimes } from '../times.ts';
import { type Check, failed, well } from './check.ts';
import { enrolAgain } from './configuration.ts';

export const DEVICE: Check = {
  name: 'device',
  reports: 'me',
  async look({ place, me }) {
    try {
      const { user, device } = await me();
      return [well(`${device.name} (${device.id}) is registered to ${user}`)];
    } catch (error) {
      if (!isAppError(error, 'unauthenticated')) throw error;
      // One refusal for all that fails: which it was is in the broker's log.
      return [
        failed(
          `the broker does not take this device: revoked, or not registered there (${error.correlationId ?? 'no id'})`,
          `with a new invitation: ${enrolAgain((await place()).paths)}`,
        ),
      ];
    }
  },
};

export const SHIFT: Check = {
  name: 'shift',
  async look({ me, context }) {
    const { shifts } = await me();
    if (shifts.length === 0) return [well('not on call, as the broker sees it')];
    return shifts.map(({ schedule, level, endsAt }) => {
      const end = endsAt === null ? '' : ` until ${bothTimes(endsAt, context.now())}`;
      return well(`on call for ${schedule}, level ${level}${end}`);
    });
  },
};
