/** No test depends on how fast the machine is: every one may take two minutes. */
export default { test: { testTimeout: 120_000, hookTimeout: 120_000 } };
