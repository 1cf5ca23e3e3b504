package exchange

import (
	"fmt"
	"testing"
)

func numbered(version int) string {
	return fmt.Sprintf(`{"version":%d,"routes":[{"path":"/","methods":["GET"],"plan":-1,"partial":null}],"plans":[]}`, version)
}

func TestRecentTableReadsATextOnce(t *testing.T) {
	first, err := RecentTable(numbered(1))
	if err != nil {
		t.Fatal(err)
	}
	for version := 2; version <= recentTables; version++ {
		if _, err := RecentTable(numbered(version)); err != nil {
			t.Fatal(err)
		}
	}
	again, _ := RecentTable(numbered(1))
	if again != first {
		t.Fatal("read again, though it was among the last few")
	}
	// It is the newest now, so as many others as there is room for beside it leave it there.
	for version := 10; version < 9+recentTables; version++ {
		if _, err := RecentTable(numbered(version)); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ = RecentTable(numbered(1)); again != first {
		t.Fatal("read again, though it was the newest before")
	}
	for version := 20; version < 20+recentTables; version++ {
		if got, _ := RecentTable(numbered(version)); got.Version() != uint32(version) {
			t.Fatalf("version %d for text %d", got.Version(), version)
		}
	}
	if again, _ = RecentTable(numbered(1)); again == first {
		t.Fatal("kept beyond the last few")
	}
}

func TestRecentTableKeepsNoRefusedText(t *testing.T) {
	for range 2 {
		if _, err := RecentTable(`{"version":-1}`); err == nil {
			t.Fatal("accepted")
		}
	}
	if table, err := RecentTable(numbered(7)); err != nil || table.Version() != 7 {
		t.Fatal(table, err)
	}
}
