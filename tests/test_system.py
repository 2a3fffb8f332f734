import pytest

from selfdistill.system import format_bytes, free_disk, free_memory, has_bf16_arithmetic


def system(root, available=None, limit=None, used=0, cached=0):
    """The files in which a system says what memory it has."""
    if available is not None:
        (root / "proc").mkdir()
        (root / "proc" / "meminfo").write_text(f"MemTotal: 9999999 kB\nMemAvailable: {available} kB\n")
    if limit is not None:
        group = root / "sys" / "fs" / "cgroup"
        group.mkdir(parents=True)
        for name, text in (("max", limit), ("current", used), ("stat", f"anon 5\ninactive_file {cached}\n")):
            (group / f"memory.{name}").write_text(f"{text}\n")
    return root


def test_what_the_kernel_could_give_is_free(tmp_path):
    assert free_memory(system(tmp_path, available=300)) == 300 * 1024


def test_a_containers_limit_counts_where_it_is_lower(tmp_path):
    assert free_memory(system(tmp_path, available=300, limit=1000, used=700, cached=50)) == 350


def test_a_container_without_a_limit_has_the_machines_memory(tmp_path):
    assert free_memory(system(tmp_path, available=300, limit="max")) == 300 * 1024


def test_a_system_that_does_not_tell_has_some(tmp_path):
    assert free_memory(tmp_path) > 2**20


def test_this_machine_has_memory_and_disk(tmp_path):
    assert free_memory() > 2**20
    assert free_disk(tmp_path / "not" / "there" / "yet") > 0


def test_bytes_in_words():
    assert format_bytes(300 * 2**20) == "300 MiB"
    assert format_bytes(1.5 * 2**30) == "1.5 GiB"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor : 0\nflags\t\t: fpu sse avx2 avx512f avx512_bf16\n", True),
        ("flags : fpu amx_bf16 amx_tile\n", True),
        ("Features : fp asimd bf16 i8mm\n", True),
        ("flags : fpu sse avx2\nmodel name : bf16\n", False),
        ("processor : 0\n", True),  # it says nothing
    ],
)
def test_bf16_arithmetic_is_read_from_the_flags(tmp_path, text, found):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert has_bf16_arithmetic(tmp_path) is found


def test_bf16_arithmetic_is_assumed_where_nothing_tells(tmp_path):
    assert has_bf16_arithmetic(tmp_path)
