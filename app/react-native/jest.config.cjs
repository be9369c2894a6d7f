/** What only React Native's own tree shows. The client is taken as it is built: run `npm run build` before. */
module.exports = {
  preset: "@react-native/jest-preset",
  testMatch: ["<rootDir>/tests/native/*.test.tsx"],
  // The first render compiles all of React Native.
  testTimeout: 60_000,
  transformIgnorePatterns: ["node_modules/(?!(@react-native|react-native|@gasrapido)/)"],
};
