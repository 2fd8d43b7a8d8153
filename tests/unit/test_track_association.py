"""Which identities without an address are merged with which, when, for how long, and why."""

from __future__ import annotations

import pytest

from tests.track_kit import FEET, by_id, merged_with, numbered, reason_of, report
from vtoc_bots import MergeSettings, TelemetryEvent, TrackMerger
from vtoc_bots.core.tracks.gate import compare
from vtoc_bots.core.tracks.noise import SourceNoise
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.source_track import SourceTrack

HIGH = {"altitude_m": 9_000.0, "altitude_datum": "baro"}


def fly(merger: TrackMerger, seconds: range, *aircraft: tuple[str, float, float], speed: float = 0.0) -> None:
    """Let source ``roof`` report (address, east, north at second 0) each second, all eastward at one speed."""
    for second in seconds:
        for address, east, north in aircraft:
            merger.add(report("roof", address, second, east + speed * second, north, **HIGH))


def watched(*aircraft: tuple[str, float, float], seconds: int = 10) -> TrackMerger:
    """A merger that has seen standing aircraft for some seconds."""
    merger = TrackMerger()
    fly(merger, range(seconds), *aircraft)
    return merger


def test_a_report_clearly_of_one_aircraft_is_merged_at_once() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0))
    merger.add(numbered("1", 9.5, 100.0, 50.0, **HIGH))
    (track,) = merger.tracks()
    assert [part.source for part in track.sources] == ["roof", "c"]
    assert reason_of(merger, "1") == "merged at once, hits since: 0, 112 m apart (χ² 0.3)"
    merger.add(numbered("1", 14.5, 30.0, 0.0, **HIGH))
    assert reason_of(merger, "1") == "merged at once, hits since: 1, 30 m apart (χ² 0.0)"


def test_a_report_outside_the_gate_is_an_aircraft_of_its_own() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0))
    merger.add(numbered("1", 9.0, 1_200.0, **HIGH))
    assert list(by_id(merger)) == ["aaaaaa", "c/track:1"]


def between(margins: list[float]) -> TrackMerger:
    """Two aircraft 400 m apart and a number whose reports favour the first by these steps of margin."""
    merger = TrackMerger()
    for step, margin in enumerate(margins):
        fly(merger, range(5 * step, 5 * step + 5), ("aaaaaa", -200.0, 0.0), ("bbbbbb", 200.0, 0.0))
        # The two χ² differ by 4·x·200 / variance.
        merger.add(numbered("1", 5 * step + 4, -margin * 40_100.0 / 800.0, **HIGH))
    return merger


def test_a_report_not_so_clear_is_merged_after_three_hits() -> None:
    assert merged_with(between([4.5, 0.5]), "1") == "c/track:1"
    merger = between([4.5, 0.5, 0.5])
    assert merged_with(merger, "1") == "aaaaaa"
    assert reason_of(merger, "1").startswith("merged after 3 hits, ")
    assert merger.counts()["merged_after_hits"] == 1


def test_a_margin_over_nine_needs_no_more_hits() -> None:
    assert merged_with(between([4.5, 5.5]), "1") == "aaaaaa"


def test_of_two_aircraft_side_by_side_neither_is_taken() -> None:
    assert merged_with(between([0.2, -0.3, 0.1, 0.3, -0.2, 0.1, -0.1, 0.2]), "1") == "c/track:1"


def test_a_win_by_too_little_breaks_a_row_of_hits() -> None:
    assert merged_with(between([4.5, -3.0, 3.0, 0.0]), "1") == "c/track:1"


@pytest.mark.parametrize(
    ("feet", "datum", "host"),
    [(800.0, "baro", "aaaaaa"), (1_000.0, "baro", "c/track:1"), (1_000.0, "geom", "aaaaaa")],
)
def test_only_altitudes_of_one_datum_are_compared_and_900_feet_part_them(feet: float, datum: str, host: str) -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=20)
    for second in (5, 10, 15, 20):
        merger.add(numbered("1", second, altitude_m=9_000.0 + feet * FEET, altitude_datum=datum))
        if second == 5:
            assert merged_with(merger, "1") == host


def test_an_encoder_that_is_125_feet_off_does_not_keep_an_aircraft_apart() -> None:
    merger = TrackMerger()
    for step in range(12):
        fly(merger, range(5 * step, 5 * step + 5), ("aaaaaa", 0.0, 0.0))
        merger.add(numbered("1", 5 * step + 4, altitude_m=9_000.0 + 125.0 * FEET, altitude_datum="baro"))
    assert merged_with(merger, "1") == "aaaaaa"


def test_of_two_aircraft_over_one_place_the_one_at_the_reported_altitude_is_taken() -> None:
    merger = TrackMerger()
    for second in range(25):
        merger.add(report("roof", "aaaaaa", second, **HIGH))
        merger.add(report("roof", "bbbbbb", second, altitude_m=9_000.0 + 200.0 * FEET, altitude_datum="baro"))
        if second % 5 == 4:
            merger.add(numbered("1", second, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"


def pair(speed: float) -> tuple[Report, SourceTrack, SourceTrack]:
    """A report, the track it is of, and a known track 800 m away, both at one speed."""
    tracks = []
    settings = MergeSettings()
    for event in (
        numbered("1", 0, 800.0, speed_mps=speed, heading_deg=90.0),
        report("roof", "aaaaaa", 0, speed_mps=speed, heading_deg=90.0),
    ):
        assert event.event_time is not None
        assert event.latitude is not None
        assert event.longitude is not None
        track = SourceTrack(event, SourceNoise(settings), settings)
        made = Report(event, event.event_time, event.event_time.timestamp(), event.latitude, event.longitude)
        track.report(made)
        tracks.append((made, track))
    return tracks[0][0], tracks[0][1], tracks[1][1]


@pytest.mark.parametrize(("speed", "inside"), [(0.0, True), (60.0, False)])
def test_the_gate_is_twice_as_wide_for_a_pair_that_stands_still(speed: float, inside: bool) -> None:
    seen, guest, host = pair(speed)
    compared = compare(seen, guest, host, 400.0, MergeSettings())
    assert 13.816 < compared.chi2 < 27.632
    assert compared.inside is inside
    assert compared.metres == pytest.approx(800.0, rel=0.01)


@pytest.mark.parametrize(("east", "north", "inside"), [(200.0, 0.0, True), (0.0, 200.0, False)])
def test_clocks_that_differ_widen_the_gate_along_the_direction_of_flight(
    east: float, north: float, inside: bool
) -> None:
    eastward = {"speed_mps": 250.0, "heading_deg": 90.0}
    merger = TrackMerger()
    for second in range(5):
        merger.add(report("roof", "aaaaaa", second, 250.0 * second, sigma_m=20.0, **eastward, **HIGH))
    merger.add(numbered("1", 4, 1_000.0 + east, north, sigma_m=20.0, **eastward, **HIGH))
    assert (merged_with(merger, "1") == "aaaaaa") is inside


def misses(count: int) -> TrackMerger:
    """A merged number whose last so many reports were far away from its aircraft."""
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    merger.add(numbered("1", 4, **HIGH))
    for number in range(count):
        fly(merger, range(5 * number + 5, 5 * number + 10), ("aaaaaa", 0.0, 0.0))
        merger.add(numbered("1", 5 * number + 9, 2_000.0, **HIGH))
    return merger


def test_a_merge_is_kept_through_four_misses_and_ends_with_the_fifth() -> None:
    merger = misses(4)
    assert merged_with(merger, "1") == "aaaaaa"
    assert reason_of(merger, "1") == "merged at once, misses in a row: 4"
    merger = misses(5)
    assert merged_with(merger, "1") == "c/track:1"
    assert merger.counts()["parted_after_misses"] == 1


def test_a_hit_between_forgives_the_misses() -> None:
    merger = misses(4)
    fly(merger, range(25, 30), ("aaaaaa", 0.0, 0.0))
    merger.add(numbered("1", 29, **HIGH))
    fly(merger, range(30, 35), ("aaaaaa", 0.0, 0.0))
    merger.add(numbered("1", 34, 2_000.0, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"


def test_a_merge_is_switched_only_after_an_alternative_won_three_times() -> None:
    merger = TrackMerger()
    both = (("aaaaaa", 0.0, 0.0), ("bbbbbb", 500.0, 0.0))
    fly(merger, range(5), *both)
    for second in range(4, 300, 5):
        merger.add(numbered("1", second, -100.0, **HIGH))
        fly(merger, range(second + 1, second + 6), *both)
    assert merged_with(merger, "1") == "aaaaaa"
    wins = 0
    while merged_with(merger, "1") == "aaaaaa" and second < 350:
        second += 5
        fly(merger, range(second - 4, second + 1), *both)
        merger.add(numbered("1", second, 550.0, **HIGH))
        wins += merger._registry.identities["c/track:1"].challenger is not None
    assert merged_with(merger, "1") == "bbbbbb"
    assert reason_of(merger, "1").startswith("switched after 3 wins")
    assert wins >= 2
    assert merger.counts()["switched"] == 1


def crosswise(settings: MergeSettings) -> TrackMerger:
    """Two numbers merged with each other's aircraft by 40 s of reports, which the next 75 s belie."""
    merger = TrackMerger(settings)
    for second in range(4, 115, 5):
        fly(merger, range(second - 4, second + 1), ("aaaaaa", 0.0, 0.0), ("bbbbbb", 300.0, 0.0))
        for number, east in (("1", 50.0), ("2", 250.0)):
            merger.add(numbered(number, second, east if second >= 40 else 300.0 - east, **HIGH))
        if second == 39:
            assert [merged_with(merger, number) for number in ("1", "2")] == ["bbbbbb", "aaaaaa"]
    return merger


def test_two_merges_that_stand_crosswise_do_not_hold_each_other_fast() -> None:
    merger = crosswise(MergeSettings())
    assert [merged_with(merger, number) for number in ("1", "2")] == ["aaaaaa", "bbbbbb"]
    merger = crosswise(MergeSettings(keep_margin=9.0))
    assert [merged_with(merger, number) for number in ("1", "2")] == ["bbbbbb", "aaaaaa"]


def test_all_numbers_are_assigned_together_and_not_each_to_its_nearest() -> None:
    merger = TrackMerger()
    for step in range(8):
        fly(merger, range(5 * step, 5 * step + 5), ("aaaaaa", 0.0, 0.0), ("bbbbbb", 500.0, 0.0))
        merger.add(numbered("near", 5 * step + 4, -80.0, **HIGH))
        merger.add(numbered("between", 5 * step + 4, 230.0, **HIGH))
    assert merged_with(merger, "near") == "aaaaaa"
    assert merged_with(merger, "between") == "bbbbbb", "alone it would be nearer to the first"


def test_a_source_has_one_live_number_for_an_aircraft() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    for second in range(4, 60, 5):
        merger.add(numbered("1", second, **HIGH))
        if second > 10:
            merger.add(numbered("2", second, 150.0, 100.0, **HIGH))
        fly(merger, range(second + 1, second + 6), ("aaaaaa", 0.0, 0.0))
    assert merged_with(merger, "1") == "aaaaaa"
    assert merged_with(merger, "2") == "c/track:2"


def test_a_number_that_is_displaced_by_a_better_one_is_parted_at_once() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    for second in range(4, 120, 5):
        merger.add(numbered("1", second, 600.0 if second > 10 else 0.0, **HIGH))
        if second > 10:
            merger.add(numbered("2", second, **HIGH))
        fly(merger, range(second + 1, second + 6), ("aaaaaa", 0.0, 0.0))
        assert len(by_id(merger)["aaaaaa"].sources) <= 2
    assert merged_with(merger, "2") == "aaaaaa"
    assert merged_with(merger, "1") == "c/track:1"


def test_a_new_number_of_the_same_aircraft_is_merged_at_once() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    for second in range(4, 60, 5):
        merger.add(numbered("1" if second < 40 else "2", second, **HIGH))
        fly(merger, range(second + 1, second + 6), ("aaaaaa", 0.0, 0.0))
        assert merged_with(merger, "1" if second < 40 else "2") == "aaaaaa"


def test_numbers_of_two_sources_may_both_be_of_one_aircraft() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0))
    merger.add(numbered("1", 9, **HIGH))
    merger.add(report("tisb", "9", 9, 40.0, namespace="nonicao", sigma_m=100.0, **HIGH))
    (track,) = merger.tracks()
    assert {part.source for part in track.sources} == {"roof", "c", "tisb"}


def test_numbers_of_two_sources_without_any_address_are_merged_and_later_follow_the_address() -> None:
    merger = TrackMerger()
    for second in range(0, 30, 5):
        merger.add(numbered("1", second, **HIGH))
        merger.add(report("tisb", "9", second, 40.0, namespace="nonicao", sigma_m=100.0, **HIGH))
    (track,) = merger.tracks()
    assert (track.icao, {part.source for part in track.sources}) == (None, {"c", "tisb"})
    for second in range(30, 180, 5):
        fly(merger, range(second, second + 5), ("aaaaaa", 0.0, 0.0))
        merger.add(numbered("1", second + 4, **HIGH))
        assert merged_with(merger, "1") == merged_with(merger, "9", "tisb")
        assert " m apart" in reason_of(merger, "9", "tisb")
        merger.add(report("tisb", "9", second + 4, 40.0, namespace="nonicao", sigma_m=100.0, **HIGH))
        assert merged_with(merger, "1") == merged_with(merger, "9", "tisb")
    (track,) = merger.tracks()
    assert (track.icao, {part.source for part in track.sources}) == ("aaaaaa", {"roof", "c", "tisb"})
    assert merger.counts().get("parted_after_misses") is None


def test_a_number_that_waits_for_its_address_does_not_stand_in_the_way_of_another() -> None:
    merger = between([4.5])
    assert merged_with(merger, "1") == "c/track:1"
    merger.add(report("tisb", "9", 4, -200.0, namespace="nonicao", sigma_m=50.0, **HIGH))
    assert merged_with(merger, "9", "tisb") == "aaaaaa"


def test_two_callsigns_are_never_one_entity() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0))
    for second in range(10, 60, 5):
        fly(merger, range(second, second + 5), ("aaaaaa", 0.0, 0.0))
        merger.add(report("aprs", "n0call-7", second + 4, namespace="callsign", sigma_m=50.0, **HIGH))
        if second > 10:
            merger.add(report("aprs", "n0call-9", second + 4, namespace="callsign", sigma_m=50.0, **HIGH))
    assert merged_with(merger, "n0call-7", "aprs") == "aaaaaa"
    assert merged_with(merger, "n0call-9", "aprs") == "callsign:n0call-9"


def test_a_ship_under_an_aircraft_is_not_the_aircraft_but_a_rescue_helicopter_is() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0))
    for mmsi in ("211234560", "111211501"):
        merger.add(report("ais", mmsi, 9, namespace="mmsi", sigma_m=50.0, altitude_m=9_000.0, altitude_datum="baro"))
    assert merged_with(merger, "211234560", "ais") == "mmsi:211234560"
    assert merged_with(merger, "111211501", "ais") == "aaaaaa"


def test_a_named_station_under_an_airway_is_not_taken_for_an_airliner_passing_over() -> None:
    merger = TrackMerger()
    for second in range(60):
        merger.add(report("roof", "aaaaaa", second, 200.0 * (second - 30), 0.0, **HIGH))
        if second >= 30 and second % 10 == 0:
            merger.add(report("aprs", "n0call-1", second, namespace="callsign", sigma_m=100.0))
            assert merged_with(merger, "n0call-1", "aprs") == "callsign:n0call-1"


def test_a_crossing_aircraft_does_not_capture_an_unknown_one() -> None:
    merger = TrackMerger()
    for second in range(120):
        merger.add(report("roof", "aaaaaa", second, 200.0 * (second - 60), 0.0, **HIGH))
        if second % 5 == 0:
            merger.add(numbered("1", second, 0.0, 150.0 * (second - 60), **HIGH))
        assert merged_with(merger, "1") in (None, "c/track:1")


def test_two_velocities_that_disagree_part_two_aircraft_at_one_place() -> None:
    east, north = {"speed_mps": 200.0, "heading_deg": 90.0}, {"speed_mps": 200.0, "heading_deg": 0.0}
    for moving, host in ((east, "aaaaaa"), (north, "c/track:1")):
        merger = TrackMerger()
        for second in range(5):
            merger.add(report("roof", "aaaaaa", second, 200.0 * second, **east, **HIGH))
        merger.add(numbered("1", 4, 800.0, **moving, **HIGH))
        assert merged_with(merger, "1") == host


def test_a_guest_is_shown_alone_when_its_host_shows_no_more() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    for second in range(4, 65, 5):
        merger.add(numbered("1", second, **HIGH))
    assert merged_with(merger, "1", seconds=64) == "aaaaaa"
    assert list(by_id(merger, 65)) == ["c/track:1"]
    assert reason_of(merger, "1").startswith("merged at once")
    for second in range(65, 80, 5):
        merger.add(numbered("1", second, **HIGH))
    assert list(by_id(merger)) == ["c/track:1"]


def test_a_number_whose_host_has_gone_finds_another() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=5)
    for second in range(4, 300, 5):
        merger.add(numbered("1", second, **HIGH))
        if second > 100:
            merger.add(report("hill", "bbbbbb", second, **HIGH))
    assert merged_with(merger, "1") == "bbbbbb"


def test_a_trail_goes_on_with_the_guest_where_the_host_has_fallen_silent() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=11)
    for second in range(10, 50, 5):
        merger.add(numbered("1", second, **HIGH))
    (track,) = merger.tracks()
    assert [point.source for point in track.trail] == ["roof"] * 3 + ["c"] * 7


def test_a_number_heard_while_an_aircraft_was_silent_is_not_taken_for_it_when_it_returns() -> None:
    merger = TrackMerger()
    for second in range(300):
        silent = 20 <= second < 200
        fly(merger, range(second, second + 1), ("bbbbbb", 20.0, 0.0))
        if not silent:
            fly(merger, range(second, second + 1), ("aaaaaa", 0.0, 0.0))
        if second % 5 == 0:
            merger.add(numbered("2", second, 10.0, **HIGH))
        if second % 5 == 0 and not silent:
            merger.add(numbered("1", second, 10.0, **HIGH))
        if second == 19:
            assert merged_with(merger, "1") == "c/track:1"
    assert (merged_with(merger, "1"), merged_with(merger, "2")) == ("aaaaaa", "bbbbbb")


def test_one_source_read_after_another_is_associated_where_their_times_meet() -> None:
    merger = watched(("aaaaaa", 0.0, 0.0), seconds=300)
    for second in range(0, 300, 5):
        merger.add(numbered("1", second, **HIGH))
    assert reason_of(merger, "1").startswith("merged at once, hits since: 3,")


def test_the_callsign_of_the_address_comes_before_its_guests() -> None:
    merger = TrackMerger()
    merger.add(report("roof", "aaaaaa", 0, callsign="DLH1", **HIGH))
    merger.add(numbered("1", 1, callsign="RADAR9", squawk="1000", **HIGH))
    (track,) = merger.tracks()
    assert (track.label, track.squawk) == ("DLH1", "1000")


def test_neighbours_are_found_across_the_date_line() -> None:
    merger, line = TrackMerger(), (10.0, 180.0)

    def wrapped(event: TelemetryEvent) -> TelemetryEvent:
        assert event.longitude is not None
        return event._replace(longitude=(event.longitude + 180.0) % 360.0 - 180.0)

    for second in range(5):
        merger.add(wrapped(report("roof", "aaaaaa", second, -60.0, centre=line, **HIGH)))
    merger.add(wrapped(numbered("1", 4, 60.0, centre=line, **HIGH)))
    assert merged_with(merger, "1") == "aaaaaa"


def test_reports_of_one_second_decide_the_same_in_any_order() -> None:
    for turn in range(3):
        merger = TrackMerger()
        for second in range(0, 60, 5):
            reports = [
                *(report("roof", f"{n:06x}", second, 300.0 * n, **HIGH) for n in range(3)),
                *(numbered(str(n), second, 300.0 * n + 20.0, **HIGH) for n in range(3)),
            ]
            for event in reports[turn:] + reports[:turn]:
                merger.add(event)
        assert [merged_with(merger, str(n)) for n in range(3)] == [f"{n:06x}" for n in range(3)]
