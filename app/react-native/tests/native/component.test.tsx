import { MockApi, serviceOf, type MockState } from "@gasrapido/backup-client/mock";
import { act, cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react-native";
import { AccessibilityInfo, Platform } from "react-native";
import { BackupManagementComponent, BackupManagementScreen, type BackupManagementProps } from "../../src";

const WAIT = { timeout: 15_000 };

function show(state: MockState, props: Partial<BackupManagementProps> = {}) {
  const api = new MockApi({ state, latencyMs: 1, jobMs: 1_500 });
  render(<BackupManagementComponent service={serviceOf(api)} locale="en" timeZone="Europe/Lisbon" {...props} />);
  return api;
}

afterEach(cleanup);

test("the buttons are buttons, and say why they are off", async () => {
  show("read_only");
  await screen.findByTestId("backups.backUp", undefined, WAIT);
  expect(screen.getByRole("button", { name: "Back up now" })).toBeDisabled();
  expect(screen.getAllByText("Your role does not allow this.").length).toBeGreaterThan(0);
});

test("progress has its value, and each step its state", async () => {
  show("running");
  const bar = await screen.findByRole("progressbar", { name: "Backup" }, WAIT);
  expect(bar).toHaveAccessibilityValue({ min: 0, max: 100, now: 46, text: "46%" });
  expect(screen.getByLabelText("Encrypt: under way")).toBeTruthy();
  expect(screen.getByLabelText("Copy to regions: not yet")).toBeTruthy();
});

test("headings are headings, and the screen has a title", async () => {
  const api = new MockApi({ latencyMs: 1 });
  render(<BackupManagementScreen title="GasRápido" service={serviceOf(api)} locale="pt-PT" />);
  await screen.findByText("Protegido", undefined, WAIT);
  for (const name of ["GasRápido", "Protegido", "Últimos 30 dias"]) expect(await screen.findByRole("heading", { name }, WAIT)).toBeTruthy();
});

test("a backup is asked for, followed, and told to the host", async () => {
  const events: string[] = [];
  show("protected", { onEvent: ({ type }) => events.push(type) });
  fireEvent.press(await screen.findByTestId("backups.backUp", undefined, WAIT));
  fireEvent.press(await screen.findByTestId("backups.backUpSheet.start"));
  expect(await screen.findByText("Working", undefined, WAIT)).toBeTruthy();
  await waitFor(() => expect(events).toEqual(["backup.completed"]), WAIT);
  expect(await screen.findByText("Protected", undefined, WAIT)).toBeTruthy();
});

test("a restore into production stays off until the words are typed", async () => {
  show("protected");
  fireEvent.press(await screen.findByTestId("backups.restore", undefined, WAIT));
  fireEvent.press(await screen.findByTestId("backups.restoreSheet.next"));
  fireEvent.press(await screen.findByTestId("backups.target.production"));
  expect(screen.getByTestId("backups.target.production")).toBeChecked();
  fireEvent.press(screen.getByTestId("backups.restoreSheet.next"));
  await screen.findByTestId("backups.check", undefined, WAIT);
  fireEvent.press(screen.getByTestId("backups.restoreSheet.next"));
  const field = await screen.findByTestId("backups.confirmation");
  const words = String(field.props["aria-label"] ?? field.props.accessibilityLabel).replace(/^Type (.*) to confirm$/, "$1");
  expect(screen.getByTestId("backups.restoreSheet.start")).toBeDisabled();
  fireEvent.changeText(field, words);
  expect(screen.getByTestId("backups.restoreSheet.start")).not.toBeDisabled();
  fireEvent.press(screen.getByTestId("backups.restoreSheet.start"));
  expect(await screen.findByTestId("backups.restoreProgress", undefined, WAIT)).toBeTruthy();
});

test("on iOS what changes is announced, for it has no live regions", async () => {
  const said = jest.spyOn(AccessibilityInfo, "announceForAccessibility").mockImplementation(() => undefined);
  const os = jest.replaceProperty(Platform, "OS", "ios");
  const api = show("protected", { pollMs: 200 });
  await waitFor(() => expect(said).toHaveBeenCalledWith("Protected"), WAIT);
  await act(async () => {
    api.world.drills = [];
    await new Promise((resolve) => setTimeout(resolve, 600));
  });
  await waitFor(() => expect(said).toHaveBeenCalledWith("At risk"), WAIT);
  os.restore();
  said.mockRestore();
});

test("a list of copies draws what is in sight", async () => {
  show("many");
  const list = await screen.findByTestId("backups.list", undefined, WAIT);
  await screen.findAllByText(/took/, undefined, WAIT);
  expect(within(list).getAllByText(/took/).length).toBeLessThanOrEqual(20);
});
