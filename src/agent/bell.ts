/** Waiting for a time, or for whoever rings before it. */
export interface Bell {
  ring(): void;
  /** Resolves after `ms`, or at once where it was rung since the last wait. */
  wait(ms: number): Promise<void>;
}

export function createBell(): Bell {
  let isRung = false;
  let wake = () => {};
  return {
    ring() {
      isRung = true;
      wake();
    },
    async wait(ms) {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isRung = false;
      wake = () => {};
    },
  };
}
