module.exports = (api) => {
  api.cache.using(() => process.env.NODE_ENV);
  // For Jest; the package itself is built by bob with its own.
  return { presets: [process.env.NODE_ENV === "test" ? "module:@react-native/babel-preset" : "module:react-native-builder-bob/babel-preset"] };
};
